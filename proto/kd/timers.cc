#include "proto/kd/timers.h"

#include <algorithm>

namespace longwire::kd {
namespace {

constexpr std::uint32_t kReferenceBaud = 115200;
constexpr std::uint32_t kLargestScale = 4;

}  // namespace

Timers Timers::ForPipe() { return Timers{}; }

Timers Timers::ForSerial(std::uint32_t baud) {
  Timers timers;
  timers.baud = baud;
  if (baud == 0 || baud >= kReferenceBaud) return timers;
  const int scale = static_cast<int>(std::min(kLargestScale, (kReferenceBaud + baud - 1) / baud));
  timers.gap *= scale;
  timers.acknowledge *= scale;
  timers.reply *= scale;
  timers.first_reply *= scale;
  timers.listen *= scale;
  timers.alternation *= scale;
  timers.reset_wait *= scale;
  timers.resend_interval *= scale;
  timers.quiet *= scale;
  timers.reconnect *= scale;
  return timers;
}

Timers Timers::ForKdnet(std::size_t most_payload) {
  constexpr std::chrono::milliseconds kHalfSecond{500};
  Timers timers;
  timers.acknowledge = timers.alternation = timers.reset_wait = timers.reconnect = kHalfSecond;
  timers.tries = 24;
  timers.numbering = Numbering::kKdnet;
  timers.most_payload = most_payload;
  return timers;
}

Duration Timers::FrameTime(std::size_t bytes) const {
  if (baud == 0) return Duration::zero();
  return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(bytes * 10'000'000'000ull / baud));
}

}  // namespace longwire::kd
