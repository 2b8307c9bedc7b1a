#pragma once

#include <chrono>

namespace longwire {

/// The first moment at or after `due` that all share who ask with this step, so that a process with many
/// timers that need not be exact wakes once for all of them. A step of zero shares nothing.
template <class TimePoint>
TimePoint SharedMoment(TimePoint due, typename TimePoint::duration step) {
  if (step.count() == 0) return due;
  const auto over = due.time_since_epoch() % step;
  return over.count() == 0 ? due : due + (step - over);
}

}  // namespace longwire
