#include <algorithm>
#include <utility>

#include "server/kd/attach_procedure.h"
#include "server/kd/kd_target.h"

namespace longwire {
namespace {

constexpr std::uint64_t kPage = MemoryCache::kPageBytes;
constexpr std::uint64_t kCodeBytes = 64;
/// Break-ins of a departure.
constexpr int kLeaveTries = 3;

rpc::ModuleChange Describe(const kd::LoadSymbolsReport& report) {
  rpc::ModuleChange change;
  change.unload = report.unload;
  change.path = report.path;
  change.base = report.base;
  change.process_id = report.process;
  change.checksum = report.checksum;
  change.size = report.size;
  change.all = report.UnloadsAll();
  return change;
}

rpc::ExceptionRecord Describe(const kd::ExceptionReport& report) {
  rpc::ExceptionRecord record;
  record.code = report.code;
  record.flags = report.flags;
  record.record = report.nested_record;
  record.address = report.address;
  record.parameters.assign(report.parameters.begin(),
                           report.parameters.begin() + std::min<std::uint32_t>(report.parameter_count, 15));
  record.first_chance = report.first_chance;
  return record;
}

}  // namespace

bool KdTarget::IsAnswer(const Error& error) {
  return error.code == Errc::kTargetRefused || error.code == Errc::kMalformed ||
         error.code == Errc::kUnsupported || error.code == Errc::kUnreadable || error.code == Errc::kUsage;
}

/// Takes a report as the current stop.
void KdTarget::BeginStop(const kd::StateChange& change) {
  Stop stop;
  stop.change = change;
  kd::MakePlain(facts_.machine, stop.change);
  stop.report = kd::DecodeControlReport(facts_.machine, change);
  stop.program_counter = stop.change.program_counter;
  stop.dr7 = stop.report.valid ? stop.report.dr7 : 0;
  stop_ = std::move(stop);
  if (traced_ == stop_->processor()) traced_.reset();
  memory_.OnStop(change.processor, stop_->program_counter);
  registers_.Forget();
  hits_.clear();
  stop_bugcheck_.reset();
  stop_is_break_in_ = false;

  // Not whether it is planted: a report that is repeated found it taken out by the first.
  const CodeBreakpoint* own = table_.FindCode(stop_->program_counter);
  const bool at_own = own != nullptr && own->wanted();
  if (at_own && stop_->code() == kd::kExceptionBreakpoint) hits_ = own->ids;
  if (stop_->code() == kd::kExceptionSingleStep) hits_ = table_.DataHits(stop_->report.dr6);
  if (!IsRepeated()) table_.OnReported(stop_->program_counter, stop_->stream_bytes());
}

Task<void> KdTarget::HandleStop(kd::Bytes payload) {
  // After a RESET a stopped target reports its stop again.
  if (state_ == rpc::TargetState::kHalted && payload == last_state_change_) co_return;
  Result<kd::StateChange> change = kd::DecodeStateChange(payload);
  if (!change) co_return;
  ForgetStop();
  last_state_change_ = std::move(payload);
  if (last_state_change_ != before_.payload) before_ = {};

  const bool symbols = std::holds_alternative<kd::LoadSymbolsReport>(change->report);
  // Hundreds of load-symbols reports come while a target boots; they are answered at once (Q15).
  const bool pass_by = symbols && !first_stop_ && facts_.machine != kd::Machine::kUnknown &&
                       !break_on_reboot_ && !stop_on_module_;
  bool identified_now = false;
  // Before anything is asked of the target: a RESET that a lost answer needs says nothing of how it was
  // found. A reply, which nobody waits for, is the last of an earlier debugger's: only a stopped target
  // repeats one.
  if (first_stop_ && !symbols && !ran_at_attach_) {
    ran_at_attach_ = line_.counters().break_ins_sent > break_ins_at_attach_ &&
                     line_.counters().resets_received == resets_at_attach_ &&
                     line_.counters().dropped == dropped_at_attach_;
  }
  if (!facts_.identified && !pass_by) {
    SetState(rpc::TargetState::kSynchronizing);
    Result<void> identified = co_await IdentifyTarget(line_, memory_, facts_, *change);
    if (!identified) co_return;  // the RESET that follows makes the target report again
    if (facts_.machine == kd::Machine::kArm64) {
      table_.SetInstruction({std::byte{0x00}, std::byte{0x00}, std::byte{0x3E}, std::byte{0xD4}});
    }
    identified_now = true;
    handles_unknown_.clear();  // all slots were
    events_(rpc::LinkChanged{state_, facts_.description, {}, Errc::kInternal, false});
  }
  BeginStop(*change);
  Result<void> done = co_await planter_.Settle();
  if (done) done = co_await planter_.TakeOut(handles_unknown_);
  if (done && facts_.identified && debug_registers_unknown_) {
    done = co_await planter_.WriteDebugRegisters(processors());
    if (!done && IsAnswer(done.error())) done = Result<void>();  // a machine without them
    debug_registers_unknown_ = !done;
  }
  const bool again = IsReportedAgain();
  bool never_left = false;
  if (done) {
    const Result<bool> looked = co_await WasNeverLeft();
    never_left = looked && *looked;
    if (!looked) done = looked.error();
  }
  if (!never_left && !again && stop_->code() != kd::kExceptionWakeDebugger) reporter_.reset();
  if (done && !never_left) done = co_await LiftRepeated();
  if (!done) {
    // The target reports again.
  } else if (never_left) {
    done = co_await ContinueAgain();
  } else if (again) {
    done = co_await LetGoOfReporter();
  } else if (symbols) {
    done = co_await HandleModule();
  } else if (const auto* command = std::get_if<kd::CommandStringReport>(&stop_->change.report)) {
    events_(rpc::Output{command->name + ": " + command->command + "\n", stop_->processor(), 0});
    done = co_await Continue(kd::kContinue, false, true);
  } else {
    done = co_await HandleException(identified_now);
  }
  static_cast<void>(done);  // a failing line reports itself, and the stop comes again
}

Task<Result<void>> KdTarget::HandleModule() {
  const auto& report = std::get<kd::LoadSymbolsReport>(stop_->change.report);
  ++module_counter_;
  if (report.UnloadsAll()) ForgetBreakpoints();  // before anyone knows
  events_(rpc::ModuleChanged{Describe(report), module_counter_});
  if (report.UnloadsAll()) {
    // The next image announces itself; it is another target as far as breakpoints and debugger data go.
    facts_.identified = false;
    facts_.data.reset();
    restarted_ = true;
  } else {
    // What was asked for is a stop, whatever the module; the filters of the client are for the others.
    stop_is_break_in_ = (restarted_ && break_on_reboot_) || (first_stop_ && break_in_wanted_);
    if (stop_on_module_ || stop_is_break_in_) co_return co_await Publish();
  }
  Result<void> planted = co_await planter_.PlantMissing({});
  if (!planted) co_return planted;
  co_return co_await Continue(kd::kContinue, false, true);
}

Task<Result<void>> KdTarget::HandleException(bool first) {
  const std::uint32_t code = stop_->code();
  const CodeBreakpoint* own = table_.FindCode(stop_->program_counter);
  const bool at_own = own != nullptr && own->wanted() && code == kd::kExceptionBreakpoint;
  // What the stop is stays true until it is dealt with: a failing line makes the target report it again.
  const bool stepped = (stepping_over_ || before_.stepped_over) && code == kd::kExceptionSingleStep;
  if (stepped && hits_.empty() && !IsRepeatedTooOften()) {
    Result<void> planted = co_await planter_.PlantMissing({});
    if (!planted) co_return planted;
    Remember().stepped_over = true;
    Result<void> gone = co_await Continue(kd::kContinue, false, false);
    stepping_over_ = !gone.has_value();
    co_return gone;
  }
  stepping_over_ = false;
  const bool asked = break_in_wanted_ || first_stop_;
  if (code == kd::kExceptionBreakpoint && !at_own) {
    stop_bugcheck_ = bugcheck_.found();
    if (!stop_bugcheck_ && !asked) {
      Result<std::optional<rpc::Bugcheck>> read = co_await ReadBugcheck();
      if (!read) co_return read.error();
      stop_bugcheck_ = *read;
    }
  }
  const bool plain_break = code == kd::kExceptionBreakpoint && !at_own && !stop_bugcheck_;
  stop_is_break_in_ = plain_break && break_in_wanted_;
  if (first_stop_) {
    // Only a target that ran until our break-in byte goes on: one that was stopped, because it crashed or an
    // earlier debugger left it so, reports without being asked, or answers a RESET, which a running one
    // cannot.
    const std::uint64_t break_in_address = facts_.DataField(kd::dd::kBreakpointWithStatus);
    const bool at_break_in =
        plain_break && (break_in_address == 0 || stop_->program_counter == break_in_address);
    if (!keep_halted_ && !break_in_wanted_ && ran_at_attach_.value_or(false) && at_break_in) {
      Result<void> gone = co_await GoOn(false, true, true);
      first_stop_ = !gone.has_value();
      co_return gone;
    }
    first_stop_ = keep_halted_ = false;
  } else if (!first && !stop_bugcheck_) {
    const std::uint64_t break_in_address = facts_.DataField(kd::dd::kBreakpointWithStatus);
    const bool hard_coded = stop_->report.valid && stop_->program_counter != break_in_address &&
                            kd::IsBreakpointInstruction(facts_.machine, stop_->report.instructions);
    if (stale_.Absorb(line_.now(), code, stop_->program_counter, break_in_address, at_own || hard_coded)) {
      co_return co_await GoOn(false, true, false);
    }
  }
  co_return co_await Publish();
}

/// KiBugcheckData: code and four parameters, all zero while nothing happened (5.7).
Task<Result<std::optional<rpc::Bugcheck>>> KdTarget::ReadBugcheck() {
  const std::uint64_t address = facts_.DataField(kd::dd::kKiBugcheckData);
  if (address == 0) co_return std::optional<rpc::Bugcheck>{};
  const unsigned word = kd::PointerSize(facts_.machine);
  kd::Bytes bytes;
  Result<void> read = co_await memory_.Read(AddressSpace::Virtual(), address, 5 * word, false, bytes);
  if (!read) co_return read.error();
  if (bytes.size() < 5 * word || kd::Load32(bytes, 0) == 0) co_return std::optional<rpc::Bugcheck>{};
  rpc::Bugcheck bugcheck;
  bugcheck.code = kd::Load32(bytes, 0);
  for (std::size_t i = 0; i < bugcheck.parameters.size(); ++i) {
    const std::size_t offset = (i + 1) * word;
    bugcheck.parameters[i] = word == 8 ? kd::Load64(bytes, offset) : kd::Load32(bytes, offset);
  }
  co_return std::optional<rpc::Bugcheck>(bugcheck);
}

/// What every client asks next, so that it need not.
Task<Result<void>> KdTarget::Expedite(rpc::StopEvent& event) {
  Result<kd::Bytes> context = co_await registers_.GetContext(stop_->processor());
  if (!context && !IsAnswer(context.error())) co_return context.error();
  const kd::ContextLayout* layout = facts_.layout();
  if (before_.moved && context && layout != nullptr)
    stop_->program_counter = kd::LoadWord(*layout, *context, layout->pc_offset);
  const bool slow = options_.bytes_per_second != 0 && options_.bytes_per_second <= 11520;
  rpc::MemoryChunk code{stop_->program_counter, {}};
  Result<void> read =
      co_await memory_.Read(AddressSpace::Virtual(), code.address, kCodeBytes, false, code.bytes);
  if (!read && !IsAnswer(read.error())) co_return read;
  if (!code.bytes.empty()) event.memory.push_back(std::move(code));
  if (!context || layout == nullptr) co_return Result<void>{};
  event.context = *context;
  const std::uint64_t sp = kd::LoadWord(*layout, *context, layout->sp_offset);
  rpc::MemoryChunk stack{sp, {}};
  const std::uint64_t wanted = std::min<std::uint64_t>(slow ? 256 : 1024, kPage - sp % kPage);
  read = co_await memory_.Read(AddressSpace::Virtual(), sp, wanted, false, stack.bytes);
  if (!read && !IsAnswer(read.error())) co_return read;
  if (!stack.bytes.empty()) event.memory.push_back(std::move(stack));
  co_return Result<void>{};
}

/// Makes the current stop known: the target is halted from here on.
Task<Result<void>> KdTarget::Publish() {
  Result<void> removed = co_await planter_.RemoveTemporary();
  if (!removed && !IsAnswer(removed.error())) co_return removed;
  rpc::StopEvent event;
  Result<void> expedited = co_await Expedite(event);
  if (!expedited) co_return expedited;
  TellStop(std::move(event));
  co_return Result<void>{};
}

/// `event` has what was expedited.
void KdTarget::TellStop(rpc::StopEvent event) {
  event.reason = rpc::StopEvent::Reason::kException;
  if (const auto* symbols = std::get_if<kd::LoadSymbolsReport>(&stop_->change.report)) {
    event.reason = rpc::StopEvent::Reason::kModule;
    event.module = Describe(*symbols);
  }
  if (stop_->exception() != nullptr) event.exception = Describe(*stop_->exception());
  event.stop_counter = ++stop_counter_;
  event.driver_epoch = driver_epoch_;
  event.processor = stop_->processor();
  event.processors = processors();
  event.thread = stop_->change.thread;
  event.program_counter = stop_->program_counter;
  event.breakpoints = hits_;
  event.break_in = stop_is_break_in_;
  event.restarted = std::exchange(restarted_, false);
  event.bugcheck = stop_bugcheck_;
  event.dr6 = stop_->report.dr6;
  event.dr7 = stop_->report.dr7;
  event.module_counter = module_counter_;
  break_in_wanted_ = false;
  first_stop_ = false;
  state_ = rpc::TargetState::kHalted;
  published_ = event;
  events_(std::move(event));
}

/// A stop that came about without a run: a step over a hard-coded breakpoint, another processor. The target
/// does not report it, so it is told even when the line fails: clients ask for what is missing.
Task<void> KdTarget::PublishAgain() {
  if (!stop_) co_return;
  Result<void> published = co_await Publish();
  if (!published) TellStop({});
}

Task<Result<void>> KdTarget::SetProgramCounter(std::uint64_t address) {
  const kd::ContextLayout* layout = facts_.layout();
  if (layout == nullptr) co_return Error{Errc::kUnsupported, "registers of this machine type are not known"};
  Result<kd::Bytes> context = co_await registers_.GetContext(stop_->processor());
  if (!context) co_return context.error();
  for (std::size_t i = 0; i < layout->pointer_size; ++i) {
    (*context)[layout->pc_offset + i] = static_cast<std::byte>(address >> (8 * i));
  }
  Remember().moved = true;
  Result<void> set = co_await registers_.SetContext(stop_->processor(), std::move(*context));
  if (set) stop_->program_counter = address;
  co_return set;
}

/// The kernel does not skip a hard-coded breakpoint instruction, so the program counter is moved behind it
/// (5.6).
Task<Result<bool>> KdTarget::SkipHardBreakpoint() {
  const kd::ContextLayout* layout = facts_.layout();
  if (StopCode() != kd::kExceptionBreakpoint || layout == nullptr) co_return false;
  const std::uint64_t pc = stop_->program_counter;
  if (const CodeBreakpoint* own = table_.FindCode(pc); own != nullptr && own->wanted()) co_return false;
  kd::Bytes bytes;
  Result<void> read =
      co_await memory_.Read(AddressSpace::Virtual(), pc, layout->breakpoint_size, false, bytes);
  if (!read) co_return read.error();
  if (bytes.size() < layout->breakpoint_size || !kd::IsBreakpointInstruction(facts_.machine, bytes))
    co_return false;
  Result<void> set = co_await SetProgramCounter(pc + layout->breakpoint_size);
  if (!set) co_return set.error();
  co_return true;
}

/// Ends the stop: past a hard-coded breakpoint, off an own one by a silent step, with everything else
/// planted.
Task<Result<void>> KdTarget::GoOn(bool step, bool handled, bool by_user) {
  if (ReporterIsElsewhere()) co_return co_await ContinueOther(step, handled);
  Result<bool> skipped = co_await SkipHardBreakpoint();
  if (!skipped && !IsAnswer(skipped.error())) co_return skipped.error();
  if (skipped && *skipped && step) {
    // The breakpoint instruction was the step.
    reporter_.reset();
    if (published_) events_(rpc::Resumed{published_->stop_counter});
    published_.reset();
    auto& exception = std::get<kd::ExceptionReport>(stop_->change.report);
    exception.code = kd::kExceptionSingleStep;
    exception.address = stop_->program_counter;
    hits_.clear();
    stop_is_break_in_ = false;
    stop_bugcheck_.reset();
    publish_again_ = true;
    co_return Result<void>{};
  }
  const std::uint64_t pc = stop_->program_counter;
  const CodeBreakpoint* own = table_.FindCode(pc);
  const bool over = own != nullptr && handled;
  std::vector<std::uint64_t> out;
  if (own != nullptr) {
    out.push_back(pc);
    Result<void> lifted = co_await planter_.Lift(pc);
    if (!lifted) co_return lifted;
  }
  Result<void> planted = co_await planter_.PlantMissing(std::move(out));
  if (!planted) co_return planted;
  stepping_over_ = over && !step;
  const bool trace = step || stepping_over_;
  const std::uint32_t status = trace && handled ? kd::kContinue : ContinueStatus(handled);
  co_return co_await Continue(status, trace, by_user);
}

/// For a processor that is not stepped.
std::uint32_t KdTarget::ContinueStatus(bool handled) const {
  if (!handled) return kd::kExceptionNotHandled;
  const std::uint32_t code = StopCode();
  const bool trap = code == kd::kExceptionBreakpoint || code == kd::kExceptionSingleStep;
  return trap ? kd::kExceptionHandled : kd::kContinue;
}

Task<Result<void>> KdTarget::Continue(std::uint32_t status, bool trace, bool by_user) {
  const std::uint64_t pc = stop_->program_counter;
  const std::uint64_t dr7 = table_.Dr7(stop_->dr7);
  kd::Bytes request = kd::EncodeContinue2(facts_.machine, stop_->processor(), status, trace, dr7);
  ReportBefore::Continued continued = DescribeContinue(status, trace);
  const std::uint64_t implied = line_.counters().acknowledges_implied;
  Result<kd::Bytes> sent = co_await line_.Command(std::move(request));
  if (!sent) {
    stepping_over_ = false;
    co_return sent.error();
  }
  continued.implied = line_.counters().acknowledges_implied != implied;
  Remember().continued = continued;
  if (trace) traced_ = stop_->processor();
  if (!ReporterIsElsewhere()) reporter_.reset();
  stale_.OnResume(line_.now(), pc, by_user);
  const auto published = std::exchange(published_, std::nullopt);
  ForgetStop();
  if (published) {
    bugcheck_.Clear();
    state_ = rpc::TargetState::kRunning;
    events_(rpc::Resumed{published->stop_counter});
  } else {
    SetState(rpc::TargetState::kRunning);
  }
  if (break_in_wanted_) SendBreakIn();
  co_return Result<void>{};
}

/// Breakpoints out, and back to what the target did; see Leave().
Task<void> KdTarget::Depart() {
  const bool resume = departure_->resume;
  const bool attaching = (state_ == rpc::TargetState::kSynchronizing || unheard_) &&
                         line_.counters().break_ins_sent > break_ins_at_attach_;
  const bool running =
      state_ == rpc::TargetState::kRunning && (table_.AnyPlanted() || table_.HasData() || break_in_wanted_);
  if (!attaching && !running && state_ != rpc::TargetState::kHalted) co_return;
  if (state_ != rpc::TargetState::kHalted) {
    Result<kd::Bytes> report = Error{Errc::kTimedOut, "the target did not report in time"};
    for (int tries = 0; tries < kLeaveTries && !report; ++tries) {
      if (running && (tries > 0 || !break_in_wanted_)) line_.BreakIn();
      report = co_await line_.NextStateChange(line_.now() + options_.leave_patience / kLeaveTries);
    }
    if (!report) co_return;
    Result<kd::StateChange> change = kd::DecodeStateChange(*report);
    if (!change) co_return;
    if (!facts_.identified) {
      Result<void> identified = co_await IdentifyTarget(line_, memory_, facts_, *change);
      if (!identified) co_return;
    }
    last_state_change_ = std::move(*report);
    BeginStop(*change);
    const Result<bool> never_left = co_await WasNeverLeft();
    if (!never_left) co_return;
    if (*never_left) stop_->program_counter = before_.continued->program_counter;
  }
  Result<void> settled = co_await planter_.Settle();
  if (!settled) co_return;
  break_in_wanted_ = false;
  stepping_over_ = false;
  const bool was_halted = published_.has_value();
  Result<void> removed = co_await planter_.RemoveAll(processors());
  if (!removed) co_return;
  if (was_halted && !resume) co_return;
  if (ReporterIsElsewhere()) {
    // Nobody would let go of it later.
    Result<void> taken = co_await TakeOver(reporter_->processor);
    if (!taken) co_return;
  }
  Result<void> gone = co_await GoOn(false, true, true);
  static_cast<void>(gone);
}

}  // namespace longwire
