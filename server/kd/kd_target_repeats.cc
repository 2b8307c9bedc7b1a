// A stopped target sends its report again after a RESET, a RESEND, or for want of an acknowledge
// (kd-protocol.md 1.7). What was done to that stop meanwhile, the bytes of the report do not tell.
#include "server/kd/kd_target.h"

namespace longwire {
namespace {

/// A target that is continued so often and still says the same is shown where it is.
constexpr int kMostRepeats = 8;

}  // namespace

/// What is known of the current report.
KdTarget::ReportBefore& KdTarget::Remember() {
  if (before_.payload != last_state_change_) before_ = ReportBefore{.payload = last_state_change_};
  return before_;
}

/// Whether the target stands where it stood, because the Continue never arrived: a late acknowledge passed
/// for that of the Continue, or the report itself, sent again, did. A target that went and came back may
/// report the same bytes, so it takes something that rules this out.
Task<Result<bool>> KdTarget::WasNeverLeft() {
  if (!before_.continued || before_.payload != last_state_change_) co_return false;
  const ReportBefore::Continued& continued = *before_.continued;
  if (continued.repeats >= kMostRepeats) co_return false;
  // Asked in any case: a target that never took the Continue awaits the packet id of that, and would
  // throw away another Continue with the next. Only a missing reply brings the ids together again (1.5).
  Result<kd::Bytes> context = co_await registers_.GetContext(stop_->processor());
  if (!context && !IsAnswer(context.error())) co_return context.error();
  const std::uint32_t code = stop_->code();
  const bool trap_without_cause = code == kd::kExceptionSingleStep && !continued.trace && hits_.empty();
  const bool not_planted = code == kd::kExceptionBreakpoint && continued.lifted;
  if (continued.implied && (trap_without_cause || not_planted)) co_return true;
  const kd::ContextLayout* layout = facts_.layout();
  if (!before_.moved || !context || layout == nullptr) co_return false;
  // A report puts the program counter of its processor where it says.
  const std::uint64_t at = kd::LoadWord(*layout, *context, layout->pc_offset);
  const bool still_moved = at == continued.program_counter && at != stop_->change.program_counter;
  co_return still_moved;
}

/// A report that was made anew took breakpoints out of the target, one that was only sent again did not.
Task<Result<void>> KdTarget::LiftRepeated() {
  if (!IsRepeated()) co_return Result<void>{};
  const std::uint64_t from = stop_->change.program_counter;
  for (const std::uint64_t at : table_.CodeAddresses()) {
    if (at - from >= stop_->stream_bytes()) continue;
    Result<void> lifted = co_await planter_.Lift(at);
    if (!lifted) co_return lifted;
  }
  co_return Result<void>{};
}

KdTarget::ReportBefore::Continued KdTarget::DescribeContinue(std::uint32_t status, bool trace) {
  const auto not_planted = [this](std::uint64_t address) {
    const CodeBreakpoint* own = table_.FindCode(address);
    return own != nullptr && own->wanted() && own->handle == 0;
  };
  ReportBefore::Continued continued{.status = status, .trace = trace};
  continued.program_counter = stop_->program_counter;
  continued.lifted = not_planted(stop_->change.program_counter);
  if (not_planted(stop_->program_counter)) continued.spared = stop_->program_counter;
  return continued;
}

Task<Result<void>> KdTarget::ContinueAgain() {
  const ReportBefore::Continued continued = *before_.continued;
  stop_->program_counter = continued.program_counter;
  Result<void> planted = co_await planter_.PlantMissing(continued.spared);
  if (!planted) co_return planted;
  Result<void> gone = co_await Continue(continued.status, continued.trace, false);
  if (gone) before_.continued->repeats = continued.repeats + 1;
  co_return gone;
}

}  // namespace longwire
