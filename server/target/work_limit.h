#pragma once

#include "proto/kd/timers.h"

namespace longwire {

/// How long one piece of work may go on. Checked between exchanges.
struct WorkLimit {
  kd::TimePoint deadline = kd::TimePoint::max();
  bool cancelled = false;
  bool Over(kd::TimePoint now) const { return cancelled || now >= deadline; }
};

}  // namespace longwire
