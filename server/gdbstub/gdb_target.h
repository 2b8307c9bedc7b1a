#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server/gdbstub/gdb_line.h"
#include "server/gdbstub/stub_memory.h"
#include "server/gdbstub/stub_registers.h"
#include "server/link/link_target.h"
#include "server/target/breakpoint_table.h"
#include "server/target/target_memory.h"
#include "server/target/work_queue.h"

namespace longwire {

/// A machine behind a gdb stub (QEMU's) as a kernel target: nothing in the guest knows of the debugger.
/// Threads of the stub are processors. Answers like KdTarget, so that clients cannot tell.
class GdbTarget final : public LinkTarget, private GdbLine::Owner {
 public:
  struct Wishes {
    bool data_breaks = true;  ///< offer data breakpoints
    bool find_kernel = true;  ///< look for a Windows-shaped kernel at attach
  };
  GdbTarget(TargetOptions options, Wishes wishes, EventSink events);

  void Opened(kd::TimePoint now) override;
  void Lost(kd::TimePoint now, const Error& why) override;
  void Receive(kd::TimePoint now, kd::ByteView bytes) override;
  void Tick(kd::TimePoint now) override;
  std::optional<kd::TimePoint> Deadline() const override;
  kd::Bytes TakeOutput() override { return line_.TakeOutput(); }

  void Perform(kd::TimePoint now, std::uint64_t ticket, rpc::Request request, kd::Bytes bulk, Done done,
               bool observer) override;
  void Cancel(kd::TimePoint now, std::uint64_t ticket) override;
  void Leave(kd::TimePoint now, bool resume, std::function<void()> done) override;
  void SetDriver(kd::TimePoint now, std::uint64_t epoch, bool present) override;
  std::vector<PlacedBreakpoint> Breakpoints() const override { return table_.Placed(); }
  void Inherit(const TargetHeritage& heritage) override;

  rpc::TargetState state() const override { return state_; }
  std::optional<rpc::TargetDescription> description() const override { return description_; }
  const std::optional<rpc::StopEvent>& stop() const override { return published_; }
  rpc::LinkStatus Status() const override;
  void SetBreakIn(kd::TimePoint now) override;
  void SetBreakOnReboot(bool) override {}

 private:
  struct Departure {
    bool resume = false;
    std::function<void()> done;
  };

  // GdbLine::Owner
  void OnStop(gdb::StopReply reply) override { pending_stop_ = std::move(reply); }
  void OnOutput(std::string text) override { events_(rpc::Output{std::move(text), 0, 0}); }
  void OnResumeRefused() override;
  void OnLost(const Error& why) override;

  // Work, one piece at a time (gdb_target.cc).
  void Pump();
  void StartTask(Task<void> task);
  bool PerformAtOnce(Work& work);
  void BreakIn();
  void SetState(rpc::TargetState state);
  void ForgetStop();
  Task<void> Execute();
  Task<rpc::Answer> ExecuteRegisters(Work& work, kd::Bytes& bulk);
  Task<rpc::Answer> ExecuteControl(Work& work);

  // The machine (gdb_target_stops.cc).
  Task<void> Attach();
  Task<Result<void>> Handshake();
  void TellRefusal(const Error& why);
  Task<Result<void>> ReadProcessors();
  Task<Result<void>> Identify(const gdb::StopReply& reply);
  Task<Result<bool>> FindMissedHit();
  Task<void> HandleStop(gdb::StopReply reply);
  Task<Result<void>> BeginStop();
  std::uint32_t Explain(const gdb::StopReply& reply, bool stepped);
  Task<void> PublishAgain();
  Task<Result<void>> Publish(std::uint32_t code);
  Task<Result<std::uint64_t>> ControlRegion(std::uint16_t processor);
  Task<Result<kd::Bytes>> ReadControlSpace(std::uint16_t processor, std::uint64_t selector);
  Task<Result<std::uint64_t>> ReadMsr(std::uint16_t processor, std::uint32_t number);
  Task<Result<void>> Resume(const rpc::Resume& request);
  Task<Result<void>> GoOn(bool step);
  Task<void> Depart();
  std::uint16_t ProcessorOf(const gdb::StopReply& reply) const;

  // Breakpoints (gdb_target_breakpoints.cc).
  Task<Result<void>> Insert(bool insert, char type, std::uint64_t address, std::uint32_t size);
  Task<Result<void>> InsertData(bool insert, const DataBreakpoint& point);
  Task<Result<std::uint64_t>> SetBreakpoint(const rpc::SetBreakpoint& wish);
  Task<Result<void>> ClearBreakpoint(std::uint64_t id);
  Task<Result<void>> Plant(std::uint64_t address);
  Task<Result<void>> Lift(std::uint64_t address);
  Task<Result<void>> PlantMissing(std::optional<std::uint64_t> except);
  Task<Result<void>> PlantInheritedData();
  Task<Result<void>> RemoveTemporary();
  Task<Result<void>> RemoveAll();

  TargetOptions options_;
  Wishes wishes_;
  EventSink events_;
  GdbLine line_;
  StubRegisters registers_;
  StubMemory raw_memory_;
  BreakpointTable table_;
  TargetMemory memory_;

  rpc::TargetState state_ = rpc::TargetState::kOffline;
  std::optional<rpc::TargetDescription> description_;
  std::optional<rpc::StopEvent> published_;
  std::optional<gdb::StopReply> pending_stop_;
  std::uint16_t processor_ = 0;  ///< of the stop
  std::uint64_t program_counter_ = 0;
  std::uint64_t stop_counter_ = 0, driver_epoch_ = 0;
  bool resumes_threads_ = true;  ///< the stub knows vCont
  bool attach_ = false;          ///< to be begun
  bool first_stop_ = true;
  bool break_in_wanted_ = false;
  bool stepped_ = false;        ///< the run under way is one instruction
  bool stepping_over_ = false;  ///< and the user does not see it
  bool publish_again_ = false;
  std::vector<std::uint64_t> hits_;
  std::optional<kd::TimePoint> retry_at_;

  WorkQueue work_;
  std::optional<Departure> departure_;
  bool departing_ = false, pumping_ = false, task_done_ = false;
  Task<void> task_;  ///< last member: its frames use the others
};

}  // namespace longwire
