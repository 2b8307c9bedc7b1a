#pragma once

#include <chrono>

namespace longwire {

/// The last moment up to `due` that all share who ask with this step, so that a process with many timers that
/// need not be exact wakes once for all of them. It is later than `due` less the step. A step of zero shares
/// nothing.
template <class TimePoint>
TimePoint SharedMoment(TimePoint due, typename TimePoint::duration step) {
  if (step.count() == 0) return due;
  return due - due.time_since_epoch() % step;
}

}  // namespace longwire
