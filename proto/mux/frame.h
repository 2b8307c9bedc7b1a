#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

/// Several byte streams over one serial line that may lose or damage bytes (docs/protocol.md "Serial lines";
/// the format is our own).
namespace longwire::mux {

inline constexpr std::uint32_t kMuxVersion = 1;
inline constexpr std::size_t kMaxPayload = 512;

enum class FrameType : std::uint8_t {
  kOpen = 1,    ///< position: kMuxVersion
  kAccept = 2,  ///< answer to kOpen; limit as in kAck
  kData = 3,    ///< position: of the first payload byte; limit: 1 if the stream ends behind the payload
  kAck = 4,     ///< position: next one wanted; limit: the peer may send up to here
  kNak = 5,     ///< as kAck, and what came behind `position` was dropped: send it again
  kReset = 6,   ///< position: a ResetReason
};
enum class ResetReason : std::uint32_t { kNoListener = 1, kBusy = 2, kVersion = 3, kUnknownSession = 4 };

/// On the line: a zero byte, the COBS form of type, channel, session, position, limit, payload and CRC-32 of
/// all that (little-endian), a zero byte. Thus the reader finds the next frame after any damage.
struct Frame {
  FrameType type = FrameType::kData;
  bool from_opener = false;  ///< sent by the end that opened the session; bit 7 of the type
  std::uint8_t channel = 0;
  std::uint32_t session = 0;  ///< chosen by the opener
  std::uint32_t position = 0;
  std::uint32_t limit = 0;
  std::vector<std::byte> payload;  ///< kData only, at most kMaxPayload
};

std::vector<std::byte> EncodeFrame(const Frame& frame);

/// Finds the frames in what arrives. Holds at most one frame of bytes; what does not fit is skipped.
class FrameReader {
 public:
  void Feed(std::span<const std::byte> bytes, const std::function<void(const Frame&)>& take);
  /// Runs of bytes that were no frame: noise, or frames that were damaged.
  std::uint64_t damaged() const { return damaged_; }

 private:
  void End(const std::function<void(const Frame&)>& take);

  std::vector<std::byte> encoded_;
  bool skipping_ = false;
  std::uint64_t damaged_ = 0;
};

}  // namespace longwire::mux
