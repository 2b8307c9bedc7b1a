#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "transport/stream.h"

namespace longwire {

/// Ends a wait on a stream: when `limit` passes before the object is destroyed, `on_expiry` runs on
/// `executor`, normally to close the stream, so that the pending call ends. A call that timed out may have
/// moved bytes, hence never a retry.
class ScopedDeadline {
 public:
  ScopedDeadline(Executor executor, std::chrono::milliseconds limit, std::function<void()> on_expiry);
  ~ScopedDeadline();
  ScopedDeadline(const ScopedDeadline&) = delete;
  ScopedDeadline& operator=(const ScopedDeadline&) = delete;

  bool expired() const noexcept;
  /// Moves the end; for a peer that announced that it needs longer.
  void Extend(std::chrono::milliseconds more);

 private:
  struct State;
  static void Arm(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace longwire
