#pragma once

#include <cstdint>
#include <optional>

#include "proto/kd/timers.h"

namespace longwire::kd {

/// Tells a stop caused by a break-in byte left over in a UART or pipe buffer from a wanted one (quirk
/// Q6, 5.6, H51): such a stop comes shortly after a resume, is a breakpoint exception at the resumed PC or at
/// the break-in instruction, and nobody asked for it. At most kMaxAbsorbed stops are swallowed per resume the
/// user asked for.
class StaleBreak {
 public:
  static constexpr int kMaxAbsorbed = 64;
  static constexpr std::chrono::seconds kWindow{2};

  /// A break-in was sent because somebody asked for a stop: the next stop is wanted.
  void OnBreakInRequested() { requested_ = true; }
  /// The target was resumed at `program_counter`; `by_user` is false for the silent resume after an absorbed
  /// stop.
  void OnResume(TimePoint now, std::uint64_t program_counter, bool by_user);
  /// Whether this stop is to be continued silently. `planted`: a breakpoint of ours stands at the program
  /// counter. `break_in_address`: BreakpointWithStatus of the debugger data, 0 if unknown.
  bool Absorb(TimePoint now, std::uint32_t exception_code, std::uint64_t program_counter,
              std::uint64_t break_in_address, bool planted);

 private:
  bool requested_ = false;
  int absorbed_ = 0;
  std::optional<TimePoint> resumed_at_;
  std::uint64_t resumed_pc_ = 0;
};

}  // namespace longwire::kd
