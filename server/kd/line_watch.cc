#include "server/kd/line_watch.h"

#include <algorithm>

namespace longwire {
namespace {

/// A few stray bytes, or the end of a packet whose begin was missed, say nothing.
constexpr std::uint64_t kTellingBytes = 48, kTellingDamage = 12;
constexpr std::chrono::seconds kJunkPatience{2}, kNoiseSpell{60};

bool IsText(std::byte byte) {
  const auto c = std::to_integer<unsigned>(byte);
  return (c >= 0x20 && c < 0x7F) || (c >= 0x08 && c <= 0x0D) || c == 0x1B;
}

}  // namespace

void LineWatch::Reset(const kd::LinkCounters& counters) {
  *this = LineWatch();
  packets_ = counters.data_packets_received + counters.control_packets_received;
  damaged_ = counters.checksum_errors + counters.framing_errors;
}

void LineWatch::OnBytes(kd::TimePoint now, kd::ByteView bytes, const kd::LinkCounters& counters) {
  const std::uint64_t packets = counters.data_packets_received + counters.control_packets_received;
  const std::uint64_t damaged = counters.checksum_errors + counters.framing_errors;
  if (packets != packets_) {
    junk_ = binary_ = 0;
    junk_since_.reset();
    junk_told_ = false;
  } else {
    if (!junk_since_) junk_since_ = now;
    junk_ += bytes.size();
    binary_ += static_cast<std::uint64_t>(
        std::count_if(bytes.begin(), bytes.end(), [](std::byte byte) { return !IsText(byte); }));
  }
  if (!noise_since_ || now > *noise_since_ + kNoiseSpell) {
    noise_since_ = now;
    noise_ = 0;
    packets_at_noise_ = packets_;
  }
  noise_ += damaged - damaged_;
  packets_ = packets;
  damaged_ = damaged;
}

std::string LineWatch::Suspicion() const {
  if (junk_ < kTellingBytes) return {};
  // Bytes of another speed are spread over all values; a console sends hardly any that is not text.
  if (binary_ * 8 >= junk_) {
    return "bytes arrive but no packet is among them: the line speed may not be the target's; compare baud= "
           "with "
           "its debug settings";
  }
  return "text arrives but no packet is among it: the line may be the target's console; check that it was "
         "started with debugging on this port";
}

std::optional<std::string> LineWatch::TakeNotice(kd::TimePoint now) {
  if (!junk_told_ && junk_since_ && now >= *junk_since_ + kJunkPatience) {
    if (std::string text = Suspicion(); !text.empty()) {
      junk_told_ = true;
      return text;
    }
  }
  const bool due = !noise_told_ || now >= *noise_told_ + kNoiseSpell;
  const std::uint64_t good = packets_ - packets_at_noise_;
  if (due && noise_ >= kTellingDamage && good > 0) {
    noise_told_ = now;
    return "the line is noisy: " + std::to_string(noise_) + " packets were damaged beside " +
           std::to_string(good) + " good ones and asked for again; check cable and line speed";
  }
  return std::nullopt;
}

}  // namespace longwire
