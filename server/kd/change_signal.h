#pragma once

#include <chrono>
#include <memory>

#include "transport/stream.h"

namespace longwire {

/// Coroutines that wait until something changes: a condition variable for one single-threaded executor. A
/// wait may outlive the signal.
class ChangeSignal {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit ChangeSignal(Executor executor);

  /// Until Ring() or `limit`; look again afterwards, whatever woke you.
  Awaitable<void> Wait(TimePoint limit);
  void Ring() const;

 private:
  struct Waits;
  std::shared_ptr<Waits> waits_;
};

}  // namespace longwire
