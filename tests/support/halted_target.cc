#include "tests/support/halted_target.h"

#include <chrono>
#include <utility>

#include "client/target/connect.h"
#include "server/kd/local_service.h"

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{30};

}  // namespace

Result<std::unique_ptr<Target>> ConnectForTest(const std::string& kernel, Interrupt& interrupt) {
  Result<KernelString> parsed = ParseKernelString(kernel);
  if (!parsed) return parsed.error();
  ConnectOptions connect;
  connect.break_in = true;
  connect.software = "longwire test";
  connect.serve_locally = [](Executor executor, std::unique_ptr<Stream> stream) {
    return StartLocalService(executor, std::move(stream));
  };
  return ConnectTarget(*parsed, connect, interrupt);
}

std::unique_ptr<Target> OpenHaltedTarget(const std::string& kernel, Interrupt& interrupt,
                                         std::string* error) {
  Result<std::unique_ptr<Target>> target = ConnectForTest(kernel, interrupt);
  if (!target) {
    *error = target.error().message;
    return nullptr;
  }
  const auto deadline = Clock::now() + kPatience;
  while (!(*target)->stop() && Clock::now() < deadline) {
    Result<std::optional<rpc::Event>> event = (*target)->WaitEvent(deadline);
    if (!event) {
      *error = event.error().message;
      return nullptr;
    }
  }
  if ((*target)->stop()) return std::move(*target);
  *error = "the target did not stop";
  return nullptr;
}

}  // namespace longwire::test
