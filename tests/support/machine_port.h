#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "server/link/link_port.h"
#include "tests/support/scripted_target.h"
#include "transport/memory_stream.h"

namespace longwire::test {

/// The far end of a kernel link: a scripted target that outlives its streams.
struct Machine {
  ScriptedTarget target;
  std::shared_ptr<Stream> line;  ///< the target's end of the stream of the moment
  int opened = 0;
  bool absent = false;
};

/// Runs the machine on one of its streams.
inline Awaitable<void> ServeMachine(std::shared_ptr<Machine> machine, std::shared_ptr<Stream> line) {
  std::vector<std::byte> buffer(8192);
  for (;;) {
    const kd::Bytes output = machine->target.TakeOutput();
    if (!output.empty()) (void)co_await line->WriteAll(output);
    const auto size = co_await line->ReadSome(buffer);
    if (!size || *size == 0) co_return;
    machine->target.Receive(std::span(buffer).first(*size));
  }
}

/// Each Open() gives the machine a new stream.
class MachinePort final : public LinkPort {
 public:
  MachinePort(Executor executor, std::shared_ptr<Machine> machine) : executor_(executor), machine_(machine) {}
  Awaitable<Result<std::unique_ptr<Stream>>> Open() override {
    if (machine_->absent) co_return Error{Errc::kLinkFailed, "there is no pipe"};
    ++machine_->opened;
    auto [ours, theirs] = MakeMemoryStreams(executor_);
    machine_->line = std::move(theirs);
    boost::asio::co_spawn(executor_, ServeMachine(machine_, machine_->line), boost::asio::detached);
    co_return std::move(ours);
  }
  void Cancel() noexcept override {}
  bool listens() const noexcept override { return false; }
  bool reconnects() const noexcept override { return false; }
  std::uint32_t bytes_per_second() const noexcept override { return 0; }

 private:
  Executor executor_;
  std::shared_ptr<Machine> machine_;
};

}  // namespace longwire::test
