// A stopped target sends its report again after a RESET, a RESEND, or for want of an acknowledge
// (kd-protocol.md 1.7). What was done to that stop meanwhile, the bytes of the report do not tell.
#include <algorithm>

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

bool KdTarget::IsRepeatedTooOften() const {
  return IsRepeated() && before_.continued->repeats >= kMostRepeats;
}

/// Whether the target stands where it stood, because the Continue never arrived: a late acknowledge passed
/// for that of the Continue, or the report itself, sent again, did. A target that went and came back may
/// report the same bytes, so it takes something that rules this out.
Task<Result<bool>> KdTarget::WasNeverLeft() {
  if (!IsRepeated() || IsRepeatedTooOften()) co_return false;
  // Asked in any case. A target that never took the Continue awaits the packet id of that, and drops what
  // comes with the next: then this times out, the RESET that follows makes the ids agree, and the report
  // comes once more (1.5).
  Result<kd::Bytes> context = co_await registers_.GetContext(stop_->processor());
  if (!context && !IsAnswer(context.error())) co_return context.error();
  const ReportBefore::Continued& continued = *before_.continued;
  if (continued.implied && (IsTrapOfBefore() || IsBreakpointThatWasOut())) co_return true;
  const kd::ContextLayout* layout = facts_.layout();
  if (!before_.moved || !context || layout == nullptr) co_return false;
  // A report puts the program counter of its processor where it says.
  const std::uint64_t at = kd::LoadWord(*layout, *context, layout->pc_offset);
  const bool still_moved = at == continued.program_counter && at != stop_->change.program_counter;
  co_return still_moved;
}

/// A trap of a step, though none was asked for since. Or one silent step was, off an own breakpoint that is
/// out: once more does no harm.
bool KdTarget::IsTrapOfBefore() const {
  constexpr std::uint64_t kStepped = 0x4000, kDataHits = 0xF;  // of Dr6
  const bool stepped =
      stop_->report.valid && (stop_->report.dr6 & kStepped) != 0 && (stop_->report.dr6 & kDataHits) == 0;
  return stop_->code() == kd::kExceptionSingleStep && stepped &&
         (!before_.continued->trace || before_.continued->stepping_over);
}

bool KdTarget::IsBreakpointThatWasOut() const {
  const std::vector<std::uint64_t>& out = before_.continued->out;
  return stop_->code() == kd::kExceptionBreakpoint &&
         std::ranges::find(out, stop_->change.program_counter) != out.end();
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
  ReportBefore::Continued continued{.status = status, .trace = trace};
  continued.program_counter = stop_->program_counter;
  for (const std::uint64_t at : table_.CodeAddresses()) {
    const CodeBreakpoint* own = table_.FindCode(at);
    if (own->wanted() && own->handle == 0) continued.out.push_back(at);
  }
  continued.stepping_over = trace && stepping_over_;
  if (!published_ && IsRepeated()) continued.repeats = before_.continued->repeats;
  return continued;
}

Task<Result<void>> KdTarget::ContinueAgain() {
  ++before_.continued->repeats;
  const ReportBefore::Continued continued = *before_.continued;
  stop_->program_counter = continued.program_counter;
  Result<void> planted = co_await planter_.PlantMissing(continued.out);
  if (!planted) co_return planted;
  stepping_over_ = continued.stepping_over;
  co_return co_await Continue(continued.status, continued.trace, false);
}

}  // namespace longwire
