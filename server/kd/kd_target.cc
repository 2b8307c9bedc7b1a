#include "server/kd/kd_target.h"

#include <algorithm>
#include <utility>

#include "proto/kd/control_request.h"

namespace longwire {
namespace {

/// What a small read is widened to: on a slow line more bytes cost more than they save.
std::size_t LineBytes(std::uint32_t bytes_per_second, bool exact) {
  if (exact) return 1;
  return bytes_per_second != 0 && bytes_per_second <= 11520 ? 64 : 128;
}

/// Break-ins sent for one request before the link itself is in doubt.
constexpr int kMostBreakIns = 3;

Error Cancelled() { return Error{Errc::kCancelled, "cancelled"}; }

}  // namespace

KdTarget::KdTarget(TargetOptions options, EventSink events)
    : options_(std::move(options)),
      events_(std::move(events)),
      line_(options_.timers, *this),
      raw_memory_(line_, facts_),
      memory_(raw_memory_, table_, LineBytes(options_.bytes_per_second, options_.exact_reads)),
      registers_(line_, facts_),
      planter_(line_, facts_, table_, memory_, registers_),
      keep_halted_(options_.left_halted),
      break_in_wanted_(options_.break_in) {}

KdTarget::~KdTarget() = default;

void KdTarget::Inherit(const TargetHeritage& heritage) {
  stop_counter_ = heritage.stop_counter;
  stop_on_module_ = heritage.stop_on_module;
  break_on_reboot_ = heritage.break_on_reboot;
  table_.Inherit(heritage);
  debug_registers_unknown_ = heritage.debug_registers;
}

// ---- the byte stream
// ------------------------------------------------------------------------------------------------

void KdTarget::Opened(kd::TimePoint now) {
  line_.SetNow(now);
  watch_.Reset(line_.counters());
  // A stream that can be opened again is no sign of a target: proxies take connections for machines that are
  // switched off, and drop them.
  if (!unheard_) SetState(rpc::TargetState::kSynchronizing);
  BeginAttach();
  Pump();
}

void KdTarget::BeginAttach() {
  first_stop_ = true;
  before_.continued.reset();  // who is attached to anew is shown where it is
  ran_at_attach_.reset();
  break_ins_at_attach_ = line_.counters().break_ins_sent;
  resets_at_attach_ = line_.counters().resets_received;
  dropped_at_attach_ = line_.counters().dropped;
  using Mode = kd::LinkMachine::AttachMode;
  line_.Attach(std::exchange(options_.left_halted, false) ? Mode::kReset : Mode::kBreakIn);
}

void KdTarget::Lost(kd::TimePoint now, const Error& why) {
  line_.SetNow(now);
  task_ = {};
  task_done_ = false;
  line_.Reopen();
  FailAll(why);
  ForgetStop();
  // A VM that closed its line is gone or restarts; breakpoints of its former life mean nothing.
  table_.Clear();
  handles_unknown_.clear();
  facts_ = TargetFacts{};
  ForgetQuestions();
  stepping_over_ = false;
  ForgetReporter();
  unheard_ = true;
  if (state_ != rpc::TargetState::kOffline) {
    state_ = rpc::TargetState::kOffline;
    events_(rpc::LinkChanged{state_, std::nullopt, why.message, why.code, true});
  }
}

void KdTarget::FailAll(const Error& why) {
  pending_stop_.reset();
  departing_ = false;
  work_.FailCurrent(why);
  work_.FailWaiting(why);
  if (auto departure = std::exchange(departure_, std::nullopt)) departure->done();
}

void KdTarget::Receive(kd::TimePoint now, kd::ByteView bytes) {
  if (std::exchange(unheard_, false)) SetState(rpc::TargetState::kSynchronizing);
  trace_.OnReceived(now, bytes);
  line_.Receive(now, bytes);
  watch_.OnBytes(now, bytes, line_.counters());
  if (std::optional<std::string> notice = watch_.TakeNotice(now)) SetState(state_, std::move(*notice));
  TellTrace();
  Pump();
}

/// What was sent is told with what comes back, or with the timer that notices that nothing does.
kd::Bytes KdTarget::TakeOutput() {
  kd::Bytes output = line_.TakeOutput();
  trace_.OnSent(line_.now(), output);
  return output;
}

/// A link that was not synchronized may have been so because of the speed.
void KdTarget::SetBaud(kd::TimePoint now, std::uint32_t baud) {
  line_.SetNow(now);
  options_.bytes_per_second = baud / 10;
  memory_.SetLineBytes(LineBytes(options_.bytes_per_second, options_.exact_reads));
  line_.SetTimers(kd::Timers::ForSerial(baud));
  watch_.Reset(line_.counters());
  if (line_.attaching()) BeginAttach();
}

void KdTarget::TellTrace() {
  if (std::string text = trace_.TakeText(); !text.empty()) events_(rpc::Output{std::move(text), 0, 0});
}

void KdTarget::Tick(kd::TimePoint now) {
  line_.Tick(now);
  TickQuestions();
  TickBreakIn();
  TellTrace();
  Pump();
}

std::optional<kd::TimePoint> KdTarget::Deadline() const {
  auto deadline = line_.Deadline();
  const auto earlier = [&deadline](kd::TimePoint other) {
    deadline = std::min(deadline.value_or(other), other);
  };
  if (prompt_deadline_) earlier(*prompt_deadline_);
  if (file_) earlier(file_->deadline);
  if (break_in_due_) earlier(*break_in_due_);
  if (departure_ && AwaitsTrap()) earlier(departure_->trap_deadline);
  return deadline;
}

void KdTarget::OnStateChange(kd::Bytes payload) {
  // A stopped target reports its stop again when it is asked for something it has sent long ago.
  const bool at_work = !task_.empty() && !task_done_;
  if (payload == last_state_change_ && (at_work || state_ == rpc::TargetState::kHalted)) return;
  pending_stop_ = std::move(payload);
}

void KdTarget::OnPacket(kd::PacketType type, kd::Bytes payload) {
  if (!stop_) before_.continued.reset();  // only a target that went on has something to say
  if (type == kd::PacketType::kDebugIo) OnDebugIo(payload);
  if (type == kd::PacketType::kFileIo) OnFileRequest(payload);
  if (type == kd::PacketType::kControlRequest) {
    const auto request = kd::DecodeControlRequest(payload);
    if (!request) return;
    const bool free = request->breakpoint < table_.data().size() && !table_.data()[request->breakpoint];
    line_.Post(kd::PacketType::kControlRequest, kd::EncodeControlAnswer(*request, free));
  }
}

void KdTarget::OnRestarted() {
  DropTask(Error{Errc::kTargetRestarted, "the target restarted; ask again after it has reported its state"});
  restarted_ = true;
  first_stop_ = false;
  facts_.identified = false;
  facts_.data.reset();
  ForgetBreakpoints();
  ForgetStop();
  before_ = {};
  stepping_over_ = false;
  ForgetReporter();
  ForgetQuestions();
  SetState(rpc::TargetState::kSynchronizing, "the target restarted; breakpoints and modules are gone");
}

void KdTarget::ForgetBreakpoints() {
  if (table_.HasData()) debug_registers_unknown_ = true;
  for (const auto& [address, point] : table_.code()) {
    if (point.handle != 0) handles_unknown_.push_back(point.handle);
  }
  table_.Clear();
}

void KdTarget::OnLost(const Error& error) {
  DropTask(error);
  ForgetQuestions();
  ForgetReporter();
  facts_.identified = false;
  for (const std::uint64_t address : table_.CodeAddresses()) table_.FindCode(address)->handle = 0;
  keep_halted_ = state_ == rpc::TargetState::kHalted;
  ForgetStop();
  state_ = rpc::TargetState::kOffline;
  const std::string suspicion = watch_.Suspicion();
  events_(rpc::LinkChanged{state_, std::nullopt,
                           suspicion.empty() ? error.message : error.message + "; " + suspicion, error.code,
                           true});
  BeginAttach();
}

void KdTarget::ForgetReporter() {
  reporter_.reset();
  traced_.reset();
}

void KdTarget::ForgetStop() {
  stop_.reset();
  publish_again_ = false;
  published_.reset();
  hits_.clear();
  stop_bugcheck_.reset();
  last_state_change_.clear();
  memory_.Forget();
  registers_.Forget();
}

void KdTarget::SetState(rpc::TargetState state, std::string text) {
  if (state == state_ && text.empty()) return;
  state_ = state;
  rpc::LinkChanged changed;
  changed.state = state;
  changed.text = std::move(text);
  if (facts_.identified) changed.description = facts_.description;
  events_(std::move(changed));
}

// ---- work
// -------------------------------------------------------------------------------------------------------------

void KdTarget::StartTask(Task<void> task) {
  task_ = std::move(task);
  task_done_ = false;
  task_.Start([this] { task_done_ = true; });
}

/// The stop that the running task is about is no more, so the task ends here; a departure begins anew. Called
/// between resumptions of the task only.
void KdTarget::DropTask(const Error& why) {
  if (task_.empty() || task_done_) return;
  task_ = {};
  departing_ = false;
  work_.FailCurrent(why);
}

/// Starts what is next whenever nothing is under way: a stop first, then a departure, then work in order.
void KdTarget::Pump() {
  if (pumping_) return;
  pumping_ = true;
  for (;;) {
    if (!task_.empty()) {
      if (!task_done_) break;
      task_ = {};
      if (std::exchange(departing_, false)) {
        if (auto departure = std::exchange(departure_, std::nullopt)) departure->done();
      }
    }
    if (pending_stop_) {
      kd::Bytes payload = *std::exchange(pending_stop_, std::nullopt);
      StartTask(HandleStop(std::move(payload)));
    } else if (std::exchange(publish_again_, false)) {
      StartTask(PublishAgain());
    } else if (departure_) {
      if (AwaitsTrap()) break;
      departing_ = true;
      StartTask(Depart());
    } else if (work_.Take()) {
      StartTask(Execute());
    } else {
      break;
    }
  }
  pumping_ = false;
}

void KdTarget::Perform(kd::TimePoint now, std::uint64_t ticket, rpc::Request request, kd::Bytes bulk,
                       Done done, bool observer) {
  line_.SetNow(now);
  Work work{ticket, std::move(request), std::move(bulk), std::move(done), observer};
  if (!PerformAtOnce(work)) work_.Push(std::move(work));
  Pump();
}

bool KdTarget::PerformAtOnce(Work& work) {
  const auto answer = [&work](const Result<void>& result) {
    work.done(result ? rpc::Answer(rpc::Done{}) : rpc::Answer(result.error()), {});
    return true;
  };
  if (std::holds_alternative<rpc::BreakIn>(work.request)) {
    BreakIn();
    return answer({});
  }
  if (const auto* prompt = std::get_if<rpc::AnswerPrompt>(&work.request))
    return answer(AnswerPrompt(prompt->text));
  if (const auto* file = std::get_if<rpc::AnswerFile>(&work.request))
    return answer(AnswerFile(*file, work.bulk));
  if (std::holds_alternative<rpc::GetLinkStatus>(work.request)) {
    work.done(Status(), {});
    return true;
  }
  if (const auto* configure = std::get_if<rpc::Configure>(&work.request)) {
    if (configure->break_on_reboot) break_on_reboot_ = *configure->break_on_reboot;
    if (configure->stop_on_module) stop_on_module_ = *configure->stop_on_module;
    if (configure->trace_packets) trace_.Switch(*configure->trace_packets);
    return answer({});
  }
  if (std::holds_alternative<rpc::Resynchronize>(work.request)) {
    Resynchronize();
    return answer({});
  }
  return false;
}

void KdTarget::BreakIn() {
  const bool resuming = work_.current && std::holds_alternative<rpc::Resume>(work_.current->request);
  if (state_ == rpc::TargetState::kHalted && !resuming) return;
  break_in_wanted_ = true;
  // While the target is stopped for a reason of its own, the byte would be lost; Continue() sends it.
  if (state_ == rpc::TargetState::kRunning && !stop_ && !pending_stop_) SendBreakIn();
}

void KdTarget::SendBreakIn() {
  stale_.OnBreakInRequested();
  line_.BreakIn();
  break_ins_unanswered_ = 0;
  break_in_due_ = line_.now() + line_.timers().alternation;
}

/// One byte is easily lost, and not every target that seems to run does. Whether anybody is there at all
/// shows a RESET, after which the link is attached to anew.
void KdTarget::TickBreakIn() {
  if (!break_in_due_ || line_.now() < *break_in_due_) return;
  break_in_due_.reset();
  if (!break_in_wanted_ || state_ != rpc::TargetState::kRunning || stop_ || pending_stop_ || !task_.empty())
    return;
  if (++break_ins_unanswered_ >= kMostBreakIns) {
    line_.Reset();
    return;
  }
  line_.BreakIn();
  break_in_due_ = line_.now() + line_.timers().alternation;
}

void KdTarget::SetBreakIn(kd::TimePoint now) {
  line_.SetNow(now);
  BreakIn();
}

void KdTarget::Resynchronize() {
  const bool halted = state_ == rpc::TargetState::kHalted;
  if (state_ == rpc::TargetState::kOffline) return;
  DropTask(Cancelled());
  ForgetReporter();
  keep_halted_ = halted;
  facts_.identified = false;
  for (const std::uint64_t address : table_.CodeAddresses()) table_.FindCode(address)->handle = 0;
  ForgetStop();
  SetState(rpc::TargetState::kSynchronizing);
  if (halted) line_.Reset();
  BeginAttach();
}

void KdTarget::Cancel(kd::TimePoint now, std::uint64_t ticket) {
  line_.SetNow(now);
  work_.Cancel(ticket);
}

void KdTarget::Leave(kd::TimePoint now, bool resume, std::function<void()> done) {
  line_.SetNow(now);
  work_.FailWaiting(Cancelled());
  // What happens to a running target meanwhile, a restart or a breakpoint, must not leave it stopped.
  departure_ = Departure{resume || state_ == rpc::TargetState::kRunning, std::move(done),
                         now + options_.leave_patience / 3};
  Pump();
}

/// A step ends at once, and nobody would continue its trap once we are gone.
bool KdTarget::AwaitsTrap() const {
  return traced_ && state_ == rpc::TargetState::kRunning && line_.now() < departure_->trap_deadline;
}

void KdTarget::SetDriver(kd::TimePoint now, std::uint64_t epoch, bool present) {
  line_.SetNow(now);
  if (epoch != driver_epoch_) {
    // Who drove before asked for it.
    trace_.Switch(false);
    stop_on_module_ = break_on_reboot_ = false;
  }
  driver_epoch_ = epoch;
  driver_present_ = present;
  if (published_) published_->driver_epoch = epoch;
  if (prompt_) {
    prompt_deadline_.reset();
    if (present) {
      events_(rpc::PromptRequested{prompt_->text, prompt_->max_answer});
    } else {
      prompt_deadline_ = now + options_.prompt_patience;
    }
  }
  if (!present && file_) RefuseFile();
}

std::optional<rpc::TargetDescription> KdTarget::description() const {
  if (!facts_.identified) return std::nullopt;
  return facts_.description;
}

rpc::LinkStatus KdTarget::Status() const {
  const kd::LinkCounters& counters = line_.counters();
  rpc::LinkStatus status;
  status.state = state_;
  status.bytes_received = counters.bytes_received;
  status.bytes_sent = counters.bytes_sent;
  status.packets_received = counters.data_packets_received + counters.control_packets_received;
  status.packets_sent = counters.data_packets_sent;
  status.retransmissions = counters.retransmissions;
  status.resends = counters.resends_sent + counters.resends_received;
  status.resets = counters.resets_sent + counters.resets_received;
  status.checksum_errors = counters.checksum_errors;
  status.exchanges = line_.exchanges();
  return status;
}

std::uint32_t KdTarget::processors() const {
  return stop_ ? std::clamp<std::uint32_t>(stop_->change.processor_count, 1, 256) : 1;
}

}  // namespace longwire
