#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/dump/dump_memory.h"
#include "server/link/link_target.h"
#include "server/target/breakpoint_table.h"
#include "server/target/target_memory.h"
#include "server/target/work_queue.h"

namespace longwire {

/// A dump as a target: halted for ever where the machine or process crashed. Memory, registers and control
/// space are read, whatever would change or run it is refused (kUnsupported).
class DumpTarget final : public LinkTarget {
 public:
  DumpTarget(std::unique_ptr<DumpSpace> space, TargetOptions options, EventSink events);
  ~DumpTarget() override;

  void Opened(kd::TimePoint now) override;
  void Lost(kd::TimePoint, const Error&) override {}
  void Receive(kd::TimePoint, kd::ByteView) override {}
  void Tick(kd::TimePoint now) override;
  std::optional<kd::TimePoint> Deadline() const override;
  kd::Bytes TakeOutput() override { return {}; }

  void Perform(kd::TimePoint now, std::uint64_t ticket, rpc::Request request, kd::Bytes bulk, Done done,
               bool observer) override;
  void Cancel(kd::TimePoint now, std::uint64_t ticket) override;
  void Leave(kd::TimePoint now, bool resume, std::function<void()> done) override;
  void SetDriver(kd::TimePoint now, std::uint64_t epoch, bool present) override;

  rpc::TargetState state() const override { return state_; }
  std::optional<rpc::TargetDescription> description() const override;
  const std::optional<rpc::StopEvent>& stop() const override { return stop_; }
  rpc::LinkStatus Status() const override;
  void SetBreakIn(kd::TimePoint) override {}
  void SetBreakOnReboot(bool) override {}

 private:
  void Publish(std::uint32_t number);
  void Expedite(rpc::StopEvent& event) const;
  void Pump();
  Task<void> Execute();
  rpc::Answer Answer(const rpc::Request& request, kd::Bytes& bulk);

  TargetOptions options_;
  EventSink events_;
  std::unique_ptr<DumpSpace> space_;
  DumpMemory source_;
  BreakpointTable no_breakpoints_;
  TargetMemory memory_;
  rpc::TargetState state_ = rpc::TargetState::kOffline;
  rpc::TargetDescription description_;
  std::optional<rpc::StopEvent> stop_;
  std::uint64_t stop_counter_ = 0, driver_epoch_ = 0;

  WorkQueue work_;
  bool pumping_ = false, task_done_ = false;
  Task<void> task_;  ///< last member: its frames use the others
};

}  // namespace longwire
