#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longwire::gdb {

/// Frames of the GDB remote serial protocol: `$payload#cs` and `%notification#cs`, where cs is the sum of the
/// bytes between, two hexadecimal digits; `}` escapes the next byte (xor 0x20), `*` repeats the byte before
/// it; single bytes `+`, `-` and 0x03 stand between frames. The same in both directions.

inline constexpr std::size_t kMaxPayload = 1u << 20;

/// `$...#cs` around the escaped payload, which may be binary.
std::string EncodePacket(std::string_view payload);
/// `%...#cs`.
std::string EncodeNotification(std::string_view payload);

struct Frame {
  enum class Kind : std::uint8_t {
    kPacket,        ///< `payload`, unescaped, runs expanded
    kNotification,  ///< `payload` likewise; never acknowledged
    kAck,           ///< '+'
    kNak,           ///< '-': send the last packet again
    kInterrupt,     ///< 0x03 outside a packet
    kBroken,        ///< a packet with a wrong checksum, too long, or with an impossible run
  };
  Kind kind = Kind::kBroken;
  std::string payload;
};

/// Cuts a byte stream into frames. Holds at most one frame of `max_payload` bytes and its expansion. What
/// stands between frames and is no frame is skipped.
class Framer {
 public:
  explicit Framer(std::size_t max_payload = kMaxPayload) : max_payload_(max_payload) {}

  /// Frames that `bytes` completed, in order. Whoever reads from a peer bounds how many bytes it feeds at
  /// once.
  void Feed(std::span<const std::byte> bytes, std::deque<Frame>& out);
  void Reset();

 private:
  enum class State : std::uint8_t { kIdle, kPayload, kSumHigh, kSumLow };

  void FeedIdle(char c, std::deque<Frame>& out);
  Frame Finish();

  std::size_t max_payload_;
  State state_ = State::kIdle;
  Frame::Kind kind_ = Frame::Kind::kPacket;
  std::string raw_;
  std::uint8_t sum_ = 0;
  bool overlong_ = false;
  char sum_high_ = 0;
};

}  // namespace longwire::gdb
