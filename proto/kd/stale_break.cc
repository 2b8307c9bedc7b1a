#include "proto/kd/stale_break.h"

#include "proto/kd/state_change.h"

namespace longwire::kd {

void StaleBreak::OnResume(TimePoint now, std::uint64_t program_counter, bool by_user) {
  if (by_user) {
    requested_ = false;
    absorbed_ = 0;
  }
  resumed_at_ = now;
  resumed_pc_ = program_counter;
}

bool StaleBreak::Absorb(TimePoint now, std::uint32_t exception_code, std::uint64_t program_counter,
                        std::uint64_t break_in_address, bool planted) {
  const bool recent = resumed_at_ && now < *resumed_at_ + kWindow;
  const bool at_break =
      program_counter == resumed_pc_ || (break_in_address != 0 && program_counter == break_in_address);
  if (requested_ || planted || !recent || exception_code != kExceptionBreakpoint || !at_break ||
      absorbed_ >= kMaxAbsorbed) {
    requested_ = false;
    resumed_at_.reset();
    return false;
  }
  ++absorbed_;
  return true;
}

}  // namespace longwire::kd
