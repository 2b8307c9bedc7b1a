#pragma once

#include <atomic>
#include <cstdint>

namespace longwire {

/// Ctrl-C as a value: raised by a signal handler or another thread, seen by every wait and loop of the
/// engine. Raise() is async-signal-safe.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  void Raise() noexcept;
  bool raised() const noexcept { return raised_.load(std::memory_order_relaxed); }
  void Clear() noexcept;
  /// Readable while raised; for poll().
  int descriptor() const noexcept { return event_; }

 private:
  std::atomic<bool> raised_{false};
  int event_ = -1;  ///< eventfd
};

}  // namespace longwire
