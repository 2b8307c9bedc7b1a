#include "proto/kd/packet.h"

#include <algorithm>

namespace longwire::kd {
namespace {

constexpr std::size_t kMaxCount = 0xFFFF;  // what the header's byte count holds

}  // namespace

PacketHeader DecodeHeader(ByteView bytes) {
  PacketHeader header;
  header.leader = Load32(bytes, 0);
  header.type = static_cast<PacketType>(Load16(bytes, 4));
  header.byte_count = Load16(bytes, 6);
  header.id = Load32(bytes, 8);
  header.checksum = Load32(bytes, 12);
  return header;
}

std::array<std::byte, kHeaderSize> EncodeHeader(const PacketHeader& header) {
  std::array<std::byte, kHeaderSize> bytes{};
  Store(std::span<std::byte>(bytes), 0, header.leader);
  Store(std::span<std::byte>(bytes), 4, static_cast<std::uint16_t>(header.type));
  Store(std::span<std::byte>(bytes), 6, header.byte_count);
  Store(std::span<std::byte>(bytes), 8, header.id);
  Store(std::span<std::byte>(bytes), 12, header.checksum);
  return bytes;
}

std::uint32_t Checksum(ByteView payload) {
  std::uint32_t sum = 0;
  for (std::byte b : payload) sum += std::to_integer<std::uint32_t>(b);
  return sum;
}

Bytes EncodeDataPacket(PacketType type, std::uint32_t id, ByteView payload) {
  payload = payload.first(std::min(payload.size(), kMaxCount));
  const auto header =
      EncodeHeader({kDataLeader, type, static_cast<std::uint16_t>(payload.size()), id, Checksum(payload)});
  Bytes frame(kHeaderSize + payload.size() + 1);
  std::copy(header.begin(), header.end(), frame.begin());
  std::copy(payload.begin(), payload.end(), frame.begin() + kHeaderSize);
  frame.back() = kTrailer;
  return frame;
}

Bytes EncodeControlPacket(PacketType type, std::uint32_t id) {
  const auto header = EncodeHeader({kControlLeader, type, 0, id, 0});
  return Bytes(header.begin(), header.end());
}

}  // namespace longwire::kd
