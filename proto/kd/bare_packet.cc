#include "proto/kd/bare_packet.h"

#include "proto/kd/packet.h"

namespace longwire::kd {
namespace {

/// Of the packet at the front of `bytes` without its trailing byte; 0: there is none.
std::size_t PacketSize(ByteView bytes) {
  if (bytes.size() < kHeaderSize) return 0;
  const PacketHeader header = DecodeHeader(bytes);
  if (header.leader == kControlLeader) return header.byte_count == 0 ? kHeaderSize : 0;
  if (header.leader != kDataLeader || header.byte_count == 0) return 0;
  const std::size_t size = kHeaderSize + header.byte_count;
  return size <= bytes.size() ? size : 0;
}

}  // namespace

Bytes FrameOf(ByteView body) {
  const ByteView packet = body.first(PacketSize(body));
  Bytes frame(packet.begin(), packet.end());
  if (frame.size() > kHeaderSize) frame.push_back(kTrailer);
  return frame;
}

std::optional<Bytes> NextBody(ByteView& stream) {
  if (stream.empty()) return std::nullopt;
  const bool break_in = stream.front() == kBreakInByte;
  const std::size_t size = break_in ? 1 : PacketSize(stream);
  if (size == 0) return std::nullopt;
  Bytes body(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size));
  const std::size_t trailer = size > kHeaderSize && size < stream.size() ? 1 : 0;
  stream = stream.subspan(size + trailer);
  return body;
}

}  // namespace longwire::kd
