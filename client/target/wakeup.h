#pragma once

#include <chrono>

#include "client/target/interrupt.h"

namespace longwire {

/// How another thread ends the sleep of the engine's thread.
class Wakeup {
 public:
  enum class Cause { kWoken, kInterrupted, kDeadline };

  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  bool valid() const { return event_ >= 0; }
  /// Any thread. The next, or present, sleep ends.
  void Wake();
  /// Until Wake(), the deadline, or an interrupt (null: none is heeded). A wake-up beats an interrupt.
  Cause SleepUntil(std::chrono::steady_clock::time_point deadline, const Interrupt* interrupt);

 private:
  int event_;  ///< eventfd; -1: too many open files
};

}  // namespace longwire
