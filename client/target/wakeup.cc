#include "client/target/wakeup.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace longwire {

using Clock = std::chrono::steady_clock;

Wakeup::Wakeup() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Wakeup::~Wakeup() {
  if (event_ >= 0) close(event_);
}

void Wakeup::Wake() {
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(event_, &one, sizeof one);
}

Wakeup::Cause Wakeup::SleepUntil(Clock::time_point deadline, const Interrupt* interrupt) {
  while (true) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd watched[2] = {{event_, POLLIN, 0}, {interrupt ? interrupt->descriptor() : -1, POLLIN, 0}};
    int ready = poll(watched, 2, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    if (ready > 0 && (watched[0].revents & POLLIN)) {
      std::uint64_t count;
      [[maybe_unused]] ssize_t got = read(event_, &count, sizeof count);
      return Cause::kWoken;
    }
    if (ready > 0 && (watched[1].revents & POLLIN)) return Cause::kInterrupted;
    if (Clock::now() >= deadline) return Cause::kDeadline;
  }
}

}  // namespace longwire
