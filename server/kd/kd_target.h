#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proto/kd/debug_io.h"
#include "proto/kd/file_io.h"
#include "proto/kd/stale_break.h"
#include "proto/rpc/messages.h"
#include "server/kd/breakpoint_planter.h"
#include "server/kd/bugcheck_watch.h"
#include "server/kd/kd_line.h"
#include "server/kd/kd_memory.h"
#include "server/kd/line_watch.h"
#include "server/kd/packet_trace.h"
#include "server/kd/target_registers.h"
#include "server/link/link_target.h"
#include "server/target/target_memory.h"
#include "server/target/work_queue.h"

namespace longwire {

/// A target that speaks KD: its state (offline -> synchronizing -> running <-> halted), its breakpoints, its
/// memory as known during this stop, and the work that clients asked for, done in order.
class KdTarget final : public LinkTarget, private KdLine::Owner {
 public:
  KdTarget(TargetOptions options, EventSink events);
  ~KdTarget() override;

  void Opened(kd::TimePoint now) override;
  void Lost(kd::TimePoint now, const Error& why) override;
  void Receive(kd::TimePoint now, kd::ByteView bytes) override;
  void Tick(kd::TimePoint now) override;
  std::optional<kd::TimePoint> Deadline() const override;
  kd::Bytes TakeOutput() override;
  void SetBaud(kd::TimePoint now, std::uint32_t baud) override;

  void Perform(kd::TimePoint now, std::uint64_t ticket, rpc::Request request, kd::Bytes bulk, Done done,
               bool observer = false) override;
  void Cancel(kd::TimePoint now, std::uint64_t ticket) override;
  void Leave(kd::TimePoint now, bool resume, std::function<void()> done) override;
  void SetDriver(kd::TimePoint now, std::uint64_t epoch, bool present) override;

  std::vector<PlacedBreakpoint> Breakpoints() const override { return table_.Placed(); }
  void Inherit(const TargetHeritage& heritage) override;

  rpc::TargetState state() const override { return state_; }
  std::optional<rpc::TargetDescription> description() const override;
  const std::optional<rpc::StopEvent>& stop() const override { return published_; }
  rpc::LinkStatus Status() const override;
  void SetBreakIn(kd::TimePoint now) override;
  void SetBreakOnReboot(bool on) override { break_on_reboot_ = on; }

 private:
  struct Departure {
    bool resume = false;
    std::function<void()> done;
    kd::TimePoint
        trap_deadline{};  ///< a step under way may end until then, else its trap stops the target for good
  };
  /// The report to which something was done that its bytes do not tell: sent again, it is still that stop.
  struct ReportBefore {
    /// The Continue that ended the stop, as far as anybody knows.
    struct Continued {
      std::uint32_t status = 0;
      bool trace = false;
      std::uint64_t program_counter = 0;
      std::vector<std::uint64_t> out;  ///< own breakpoints that were not planted
      bool stepping_over = false;      ///< off one of them, silently
      bool implied = false;            ///< its acknowledge was only concluded
      int repeats = 0;                 ///< since the stop was told
    };
    kd::Bytes payload;
    bool stepped_over = false;  ///< the trap of a silent step, which nobody is told of
    bool moved = false;         ///< its program counter; the registers say where it is
    std::optional<Continued> continued;
  };
  /// The processor whose report stopped the machine, while another is the current one: it reports again when
  /// that one is continued, and the machine runs when it is continued itself (5.6).
  struct Reporter {
    std::uint16_t processor = 0;
    std::uint64_t reported_at = 0;      ///< program counter of its report
    std::uint64_t program_counter = 0;  ///< since then moved, perhaps
    std::uint32_t code = 0;
    bool left = false;    ///< the other one was continued: its next report is the same stop
    bool handled = true;  ///< how it goes on then
    std::optional<std::uint64_t> stepped_from;  ///< where the other one steps, if it does
  };

  // KdLine::Owner
  void OnStateChange(kd::Bytes payload) override;
  void OnPacket(kd::PacketType type, kd::Bytes payload) override;
  void OnSynchronized() override {}
  void OnRestarted() override;
  void OnLost(const Error& error) override;

  // Work, one piece at a time (kd_target.cc).
  void Pump();
  void StartTask(Task<void> task);
  void DropTask(const Error& why);
  bool PerformAtOnce(Work& work);
  bool AwaitsTrap() const;
  void BreakIn();
  void SendBreakIn();
  void TickBreakIn();
  void Resynchronize();
  void SetState(rpc::TargetState state, std::string text = {});
  void ForgetBreakpoints();
  void TellTrace();
  void ForgetStop();
  void ForgetReporter();
  void FailAll(const Error& why);
  void BeginAttach();

  // Stops (kd_target_stops.cc).
  Task<void> HandleStop(kd::Bytes payload);
  Task<Result<void>> HandleException(bool first);
  Task<Result<void>> HandleModule();
  Task<Result<void>> Publish();
  void TellStop(rpc::StopEvent event);
  Task<void> PublishAgain();
  Task<void> Depart();
  void BeginStop(const kd::StateChange& change);
  /// The target answered, though not as wished; anything else is trouble of the line and ends what is under
  /// way.
  static bool IsAnswer(const Error& error);
  Task<Result<std::optional<rpc::Bugcheck>>> ReadBugcheck();
  Task<Result<void>> Expedite(rpc::StopEvent& event);
  Task<Result<void>> GoOn(bool step, bool handled, bool by_user);
  Task<Result<void>> Continue(std::uint32_t status, bool trace, bool by_user);
  std::uint32_t ContinueStatus(bool handled) const;
  Task<Result<bool>> SkipHardBreakpoint();
  Task<Result<void>> SetProgramCounter(std::uint64_t address);

  // Reports that are sent again (kd_target_repeats.cc).
  ReportBefore& Remember();
  bool IsRepeated() const { return before_.continued && before_.payload == last_state_change_; }
  bool IsRepeatedTooOften() const;
  ReportBefore::Continued DescribeContinue(std::uint32_t status, bool trace);
  Task<Result<void>> LiftRepeated();
  Task<Result<bool>> WasNeverLeft();
  bool IsTrapOfBefore() const;
  bool IsBreakpointThatWasOut() const;
  Task<Result<void>> ContinueAgain();

  // Requests (kd_target_requests.cc).
  Task<void> Execute();
  Task<rpc::Answer> ExecuteRegisters(Work& work, kd::Bytes& bulk);
  Task<rpc::Answer> ExecuteControl(Work& work);
  Task<Result<void>> Resume(const rpc::Resume& request);
  Task<Result<void>> LeaveForGood(kd::Bytes request, const char* text);
  std::uint32_t processors() const;

  // Other processors than the one that reported (kd_target_processors.cc).
  Task<Result<void>> TakeOver(std::uint32_t processor);
  Task<Result<void>> SwitchProcessor(std::uint32_t processor);
  Task<Result<void>> StepOther(std::uint32_t processor, bool handled);
  bool ReporterIsElsewhere() const { return reporter_ && reporter_->processor != stop_->processor(); }
  Task<Result<void>> ContinueOther(bool step, bool handled);
  bool IsReportedAgain() const;
  Task<Result<void>> LetGoOfReporter();
  std::uint32_t StopCode() const;
  std::optional<Error> CannotStep(std::uint32_t processor) const;

  // Questions of the target (kd_target_io.cc).
  void OnDebugIo(kd::ByteView payload);
  void OnFileRequest(kd::ByteView payload);
  Result<void> AnswerPrompt(const std::string& text);
  Result<void> AnswerFile(const rpc::AnswerFile& answer, kd::ByteView bulk);
  void RefuseFile();
  void ForgetQuestions();
  void TickQuestions();

  TargetOptions options_;
  EventSink events_;
  KdLine line_;
  TargetFacts facts_;
  BreakpointTable table_;
  KdMemory raw_memory_;
  TargetMemory memory_;
  TargetRegisters registers_;
  BreakpointPlanter planter_;
  kd::StaleBreak stale_;
  BugcheckWatch bugcheck_;
  LineWatch watch_;
  PacketTrace trace_;

  rpc::TargetState state_ = rpc::TargetState::kOffline;
  bool unheard_ = false;                     ///< the stream was lost, and nothing came on the one after it
  std::optional<Stop> stop_;                 ///< the target is stopped, published or not
  std::optional<rpc::StopEvent> published_;  ///< while halted
  kd::Bytes last_state_change_;
  ReportBefore before_;
  std::uint64_t stop_counter_ = 0, module_counter_ = 0, driver_epoch_ = 0;
  bool driver_present_ = false;
  bool stop_on_module_ = false, break_on_reboot_ = false;  ///< wishes of the driver
  /// What a target that said it restarted may still have of ours, and nobody knows any more.
  bool debug_registers_unknown_ = false;
  std::vector<std::uint32_t> handles_unknown_;  ///< of code breakpoints

  bool restarted_ = false;                     ///< since the last published stop
  bool first_stop_ = true;                     ///< of this attachment
  bool keep_halted_ = false;                   ///< the next stop of an attach is wanted
  bool break_in_wanted_ = false;               ///< asked for and not yet answered by a stop
  std::optional<kd::TimePoint> break_in_due_;  ///< when the next one is sent, if the target still runs
  int break_ins_unanswered_ = 0;
  std::optional<bool> ran_at_attach_;    ///< the target ran when it was attached to; known at its first stop
  bool stepping_over_ = false;           ///< one silent step off an own breakpoint is under way
  std::optional<std::uint16_t> traced_;  ///< the processor that was told to step and did not report since
  std::optional<Reporter> reporter_;     ///< from a switch until it is let go of
  std::uint64_t break_ins_at_attach_ = 0, resets_at_attach_ = 0;
  std::uint64_t dropped_at_attach_ = 0;
  std::vector<std::uint64_t> hits_;  ///< breakpoints of the stop in `stop_`
  bool stop_is_break_in_ = false;
  std::optional<rpc::Bugcheck> stop_bugcheck_;

  WorkQueue work_;
  std::optional<kd::Bytes> pending_stop_;
  bool publish_again_ = false;
  std::optional<Departure> departure_;
  bool departing_ = false;
  bool pumping_ = false;
  bool task_done_ = false;

  std::optional<kd::DebugIo> prompt_;
  std::optional<kd::TimePoint> prompt_deadline_;
  struct PendingFile {
    std::uint64_t id = 0;
    kd::FileRequest request;
    kd::TimePoint deadline{};
  };
  std::optional<PendingFile> file_;
  std::uint64_t last_file_id_ = 0;

  Task<void> task_;  ///< last member: its frames use the others
};

}  // namespace longwire
