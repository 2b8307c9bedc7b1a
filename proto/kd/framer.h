#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "proto/kd/packet.h"
#include "proto/kd/timers.h"

namespace longwire::kd {

/// Cuts the byte stream of a serial line or pipe into packets (kd-protocol.md 1.6). Junk between packets is
/// skipped. A packet that turns out bad is searched again from one byte after the start of its leader, so one
/// damaged byte cannot swallow the packet behind it. Holds at most one frame of unfinished bytes; cost per
/// byte is bounded. No threads.
class Framer {
 public:
  enum class Kind : std::uint8_t { kData, kControl, kBad };
  enum class Reason : std::uint8_t { kNone, kByteCount, kTrailer, kChecksum, kGap, kHeader };

  struct Item {
    Kind kind = Kind::kBad;
    Reason reason = Reason::kNone;  ///< kBad: why the sender should send again
    PacketType type = PacketType::kUnused;
    std::uint32_t id = 0;  ///< kBad: what the header says, 0 if it was cut
    Bytes payload;         ///< kData
  };

  explicit Framer(Duration gap) : gap_(gap) {}

  /// Takes bytes as they were read, at `now`.
  void Receive(TimePoint now, ByteView bytes);
  /// Ends a packet whose next byte did not come in time.
  void Tick(TimePoint now);
  /// When Tick is needed: only while inside a packet.
  std::optional<TimePoint> Deadline() const;
  /// The next complete item in order of arrival.
  std::optional<Item> Next();

  /// Forgets unfinished bytes and items, as after the stream was closed and opened again.
  void Clear();

  std::uint64_t JunkBytes() const { return junk_bytes_; }

 private:
  enum class Step : std::uint8_t { kNeedMore, kAdvanced };

  void Parse();
  Step FindLeader();
  Step ParseData();
  Step ParseControl();
  void Reject(Reason reason, bool report);
  void Compact();
  ByteView Rest() const { return ByteView(buffer_).subspan(head_); }

  Duration gap_;
  Bytes buffer_;
  std::size_t head_ = 0;    ///< first byte not consumed
  bool in_packet_ = false;  ///< a leader stands at head_
  TimePoint last_byte_{};
  std::deque<Item> items_;
  std::uint64_t junk_bytes_ = 0;
};

}  // namespace longwire::kd
