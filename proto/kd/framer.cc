#include "proto/kd/framer.h"

#include <algorithm>
#include <utility>

namespace longwire::kd {
namespace {

constexpr std::size_t kLeaderSize = 4;
constexpr std::size_t kTypeEnd = 6;
constexpr std::size_t kCountEnd = 8;
/// Types end at 11 today. The bound makes most false leaders, such as zeros printed by boot code, visible at
/// once instead of after the thousands of bytes they seem to announce.
constexpr std::uint16_t kLargestPlausibleType = 0xFF;
/// Bytes taken into the buffer at a time, so that a large read does not grow it.
constexpr std::size_t kSlice = 4096;

}  // namespace

void Framer::Receive(TimePoint now, ByteView bytes) {
  if (bytes.empty()) return;
  // A gap that ended with these bytes had run out before they came.
  Tick(now);
  last_byte_ = now;
  while (!bytes.empty()) {
    const ByteView slice = bytes.first(std::min(bytes.size(), kSlice));
    buffer_.insert(buffer_.end(), slice.begin(), slice.end());
    bytes = bytes.subspan(slice.size());
    Parse();
    Compact();
  }
}

void Framer::Tick(TimePoint now) {
  const auto deadline = Deadline();
  if (!deadline || now < *deadline) return;
  // The bytes read so far may hold whole packets, or more cut ones, behind the false or cut leader.
  while (in_packet_) {
    Reject(Reason::kGap, true);
    Parse();
  }
  Compact();
}

std::optional<TimePoint> Framer::Deadline() const {
  if (!in_packet_) return std::nullopt;
  return last_byte_ + gap_;
}

std::optional<Framer::Item> Framer::Next() {
  if (items_.empty()) return std::nullopt;
  Item item = std::move(items_.front());
  items_.pop_front();
  return item;
}

void Framer::Clear() {
  buffer_.clear();
  head_ = 0;
  in_packet_ = false;
  items_.clear();
}

void Framer::Parse() {
  for (;;) {
    if (!in_packet_ && FindLeader() == Step::kNeedMore) return;
    const Step step = Rest()[0] == kDataLeaderByte ? ParseData() : ParseControl();
    if (step == Step::kNeedMore) return;
  }
}

Framer::Step Framer::FindLeader() {
  const std::size_t size = buffer_.size();
  std::size_t start = head_;
  while (start < size) {
    const std::byte first = buffer_[start];
    if (first != kDataLeaderByte && first != kControlLeaderByte) {
      ++start;
      continue;
    }
    std::size_t run = 1;
    while (run < kLeaderSize && start + run < size && buffer_[start + run] == first) ++run;
    if (run == kLeaderSize || start + run == size) {
      junk_bytes_ += start - head_;
      head_ = start;
      in_packet_ = run == kLeaderSize;
      return in_packet_ ? Step::kAdvanced : Step::kNeedMore;
    }
    start += run;
  }
  junk_bytes_ += size - head_;
  head_ = size;
  return Step::kNeedMore;
}

Framer::Step Framer::ParseData() {
  const ByteView rest = Rest();
  if (rest.size() < kTypeEnd) return Step::kNeedMore;
  const PacketHeader header = DecodeHeader(rest);
  if (static_cast<std::uint16_t>(header.type) > kLargestPlausibleType) {
    Reject(Reason::kNone, false);
    return Step::kAdvanced;
  }
  if (rest.size() < kCountEnd) return Step::kNeedMore;
  if (header.byte_count == 0 || header.byte_count > kMaxReceivedPayload) {
    Reject(Reason::kByteCount, true);
    return Step::kAdvanced;
  }
  const std::size_t total = kHeaderSize + header.byte_count + 1;
  if (rest.size() < total) return Step::kNeedMore;
  if (rest[total - 1] != kTrailer) {
    Reject(Reason::kTrailer, true);
    return Step::kAdvanced;
  }
  const ByteView payload = rest.subspan(kHeaderSize, header.byte_count);
  if (Checksum(payload) != header.checksum) {
    Reject(Reason::kChecksum, true);
    return Step::kAdvanced;
  }
  items_.push_back(
      {Kind::kData, Reason::kNone, header.type, header.id, Bytes(payload.begin(), payload.end())});
  head_ += total;
  in_packet_ = false;
  return Step::kAdvanced;
}

Framer::Step Framer::ParseControl() {
  const ByteView rest = Rest();
  if (rest.size() < kTypeEnd) return Step::kNeedMore;
  const PacketHeader header = DecodeHeader(rest);
  const bool known = header.type == PacketType::kAcknowledge || header.type == PacketType::kResend ||
                     header.type == PacketType::kReset;
  if (!known || (rest.size() >= kCountEnd && header.byte_count != 0)) {
    Reject(Reason::kNone, false);
    return Step::kAdvanced;
  }
  if (rest.size() < kHeaderSize) return Step::kNeedMore;
  if (header.checksum != 0) {
    // A cut packet that took the begin of the next one for its end.
    Reject(Reason::kNone, false);
    return Step::kAdvanced;
  }
  items_.push_back({Kind::kControl, Reason::kNone, header.type, header.id, {}});
  head_ += kHeaderSize;
  in_packet_ = false;
  return Step::kAdvanced;
}

void Framer::Reject(Reason reason, bool report) {
  // A cut control packet is not sent again by anyone, and asking for it would make the peer repeat something
  // else.
  if (report && Rest()[0] == kDataLeaderByte) {
    const std::uint32_t id = Rest().size() < kHeaderSize ? 0 : DecodeHeader(Rest()).id;
    items_.push_back({Kind::kBad, reason, PacketType::kUnused, id, {}});
  }
  ++head_;
  ++junk_bytes_;
  in_packet_ = false;
}

void Framer::Compact() {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(head_));
  head_ = 0;
}

}  // namespace longwire::kd
