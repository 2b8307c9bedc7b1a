#include "tests/support/halted_target.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <chrono>
#include <utility>

#include "client/target/connect.h"
#include "server/kd/kd_service.h"

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{30};

/// The KD service of kdsrv on the client's RPC thread, as kd has it for links of its own.
std::shared_ptr<void> ServeLocally(Executor executor, std::unique_ptr<Stream> stream) {
  auto service = std::make_shared<KdService>(executor, KdServiceOptions{});
  auto serve = [](std::shared_ptr<KdService> held, std::unique_ptr<Stream> peer) -> Awaitable<void> {
    co_await held->Serve(std::move(peer));
  };
  boost::asio::co_spawn(executor, serve(service, std::move(stream)), boost::asio::detached);
  return service;
}

}  // namespace

Result<std::unique_ptr<Target>> ConnectForTest(const std::string& kernel, Interrupt& interrupt) {
  Result<KernelString> parsed = ParseKernelString(kernel);
  if (!parsed) return parsed.error();
  ConnectOptions connect;
  connect.break_in = true;
  connect.software = "longwire test";
  connect.serve_locally = ServeLocally;
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
