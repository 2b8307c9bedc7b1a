#include <utility>

#include "server/kd/kd_target.h"

namespace longwire {

/// The code of the exception that stopped the machine, also when its processor reports for another reason.
std::uint32_t KdTarget::StopCode() const {
  const bool reporters = reporter_ && !ReporterIsElsewhere() && stop_->exception() != nullptr;
  return reporters ? reporter_->code : stop_->code();
}

/// Makes the report of another processor the current stop; nothing is published.
Task<Result<void>> KdTarget::TakeOver(std::uint32_t processor) {
  if (!reporter_) {
    reporter_ = Reporter{.processor = stop_->processor(),
                         .reported_at = stop_->change.program_counter,
                         .program_counter = stop_->program_counter,
                         .code = stop_->code(),
                         .stepped_from = std::nullopt};
  }
  Result<kd::Bytes> sent =
      co_await line_.Command(kd::EncodeSwitchProcessor(static_cast<std::uint16_t>(processor)));
  if (!sent) co_return sent.error();
  const kd::TimePoint end = line_.now() + options_.switch_patience;
  Result<kd::Bytes> report = co_await line_.NextStateChange(end);
  while (report && *report == last_state_change_) report = co_await line_.NextStateChange(end);
  if (!report) {
    co_return Error{report.error().code, "the target did not switch to processor " +
                                             std::to_string(processor) + "; it may not support it"};
  }
  Result<kd::StateChange> change = kd::DecodeStateChange(*report);
  if (!change) co_return change.error();
  if (!std::holds_alternative<kd::ExceptionReport>(change->report))
    co_return Error{
        Errc::kTargetRefused,
        "the target reported something else when told to switch to processor " + std::to_string(processor)};
  last_state_change_ = std::move(*report);
  BeginStop(*change);
  Result<void> lifted = co_await LiftRepeated();
  if (!lifted) co_return lifted;
  if (stop_->processor() == processor) co_return Result<void>{};
  publish_again_ = true;
  co_return Error{Errc::kTargetRefused, "the target reported processor " +
                                            std::to_string(stop_->processor()) + " when told to switch to " +
                                            std::to_string(processor)};
}

Task<Result<void>> KdTarget::SwitchProcessor(std::uint32_t processor) {
  if (processor >= processors()) co_return Error{Errc::kUsage, "there is no such processor"};
  if (processor != stop_->processor()) {
    Result<void> taken = co_await TakeOver(processor);
    if (!taken) co_return taken;
  }
  // The answer goes out before the event of the new stop.
  publish_again_ = true;
  co_return Result<void>{};
}

/// 5.6: x86 and AMD64 only.
std::optional<Error> KdTarget::CannotStep(std::uint32_t processor) const {
  if (processor >= processors()) return Error{Errc::kUsage, "there is no such processor"};
  const std::uint32_t reporter = reporter_ ? reporter_->processor : stop_->processor();
  if (facts_.machine != kd::Machine::kArm64 || processor == reporter) return std::nullopt;
  const std::string number = std::to_string(reporter);
  return Error{Errc::kUnsupported, "on ARM64 only the processor that reported the stop can step, here " +
                                       number + "; ~" + number + "s selects it"};
}

Task<Result<void>> KdTarget::StepOther(std::uint32_t processor, bool handled) {
  if (const auto error = CannotStep(processor)) co_return *error;
  Result<void> taken = co_await TakeOver(processor);
  if (!taken) co_return taken;
  Result<void> gone = co_await GoOn(true, handled, true);
  // Clients know only of the reporter; it is not the current processor any more.
  if (!gone && stop_) publish_again_ = true;
  co_return gone;
}

/// With the continue of another processor the machine does not run yet: the reporter of the stop comes back
/// first (LetGoOfReporter). A target that runs at once is as well.
Task<Result<void>> KdTarget::ContinueOther(bool step, bool handled) {
  const auto error = CannotStep(stop_->processor());
  if (step && error) co_return *error;
  const std::optional<std::uint64_t> from = step ? std::optional(stop_->program_counter) : std::nullopt;
  std::vector<std::uint64_t> out;
  if (from) out.push_back(*from);
  reporter_->handled = handled;
  reporter_->stepped_from = from;
  reporter_->left = true;
  if (from) {
    Result<void> lifted = co_await planter_.Lift(*from);
    if (!lifted) co_return lifted;
  }
  Result<void> planted = co_await planter_.PlantMissing(std::move(out));
  if (!planted) co_return planted;
  co_return co_await Continue(kd::kContinue, step, true);
}

/// Whether the current report is that of the stop which a switch interrupted. A switch may have changed its
/// code.
bool KdTarget::IsReportedAgain() const {
  if (!reporter_ || !reporter_->left || ReporterIsElsewhere()) return false;
  const std::uint64_t at = stop_->change.program_counter;
  return (at == reporter_->reported_at || at == reporter_->program_counter) &&
         (stop_->code() == reporter_->code || stop_->code() == kd::kExceptionWakeDebugger);
}

/// Everything runs now, and a processor that steps comes to its trap. The reporter's own breakpoint stays out
/// for so long, else it would hit it again.
Task<Result<void>> KdTarget::LetGoOfReporter() {
  const Reporter reporter = *reporter_;
  const std::uint64_t pc = stop_->program_counter = reporter.program_counter;
  if (!reporter.stepped_from) co_return co_await GoOn(false, reporter.handled, false);
  Result<bool> skipped = co_await SkipHardBreakpoint();
  if (!skipped && !IsAnswer(skipped.error())) co_return skipped.error();
  std::vector<std::uint64_t> out(1, pc);
  out.push_back(*reporter.stepped_from);
  Result<void> planted = co_await planter_.PlantMissing(out);
  if (!planted) co_return planted;
  for (const std::uint64_t address : out) {
    Result<void> lifted = co_await planter_.Lift(address);
    if (!lifted) co_return lifted;
  }
  co_return co_await Continue(ContinueStatus(reporter.handled), false, false);
}

}  // namespace longwire
