#include "proto/kdnet/frames.h"

#include "proto/kd/packet.h"

namespace longwire::kdnet {
namespace {

constexpr std::size_t kGreetingSize = 12;

/// Of the packet at the front of `bytes` without its trailing byte; 0: there is none.
std::size_t PacketSize(ByteView bytes) {
  if (bytes.size() < kd::kHeaderSize) return 0;
  const kd::PacketHeader header = kd::DecodeHeader(bytes);
  if (header.leader == kd::kControlLeader) return header.byte_count == 0 ? kd::kHeaderSize : 0;
  if (header.leader != kd::kDataLeader || header.byte_count == 0) return 0;
  const std::size_t size = kd::kHeaderSize + header.byte_count;
  return size <= bytes.size() ? size : 0;
}

}  // namespace

Bytes FrameOf(ByteView body) {
  const ByteView packet = body.first(PacketSize(body));
  Bytes frame(packet.begin(), packet.end());
  if (frame.size() > kd::kHeaderSize) frame.push_back(kd::kTrailer);
  return frame;
}

std::optional<Bytes> NextBody(ByteView& stream) {
  if (stream.empty()) return std::nullopt;
  const bool break_in = stream.front() == kd::kBreakInByte;
  const std::size_t size = break_in ? 1 : PacketSize(stream);
  if (size == 0) return std::nullopt;
  Bytes body(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
  const std::size_t trailer = size > kd::kHeaderSize && size < stream.size() ? 1 : 0;
  stream = stream.subspan(size + trailer);
  return body;
}

bool IsGreeting(ByteView body) { return body.size() == kGreetingSize && kd::Load64(body, 0) == 0; }

}  // namespace longwire::kdnet
