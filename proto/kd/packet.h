#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proto/kd/bytes.h"

namespace longwire::kd {

/// Packet layer of kd-protocol.md 1.1 to 1.3. All integers little-endian.
inline constexpr std::uint32_t kDataLeader = 0x30303030;
inline constexpr std::uint32_t kControlLeader = 0x69696969;
inline constexpr std::byte kDataLeaderByte{0x30};
inline constexpr std::byte kControlLeaderByte{0x69};
inline constexpr std::byte kTrailer{0xAA};
inline constexpr std::byte kBreakInByte{0x62};
inline constexpr std::uint32_t kInitialPacketId = 0x80800000;
inline constexpr std::uint32_t kInitialKdnetId = 0x80000000;  ///< of the host; a target begins at 0
inline constexpr std::uint32_t kSyncBit = 0x00000800;
inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kMaxPayload = 4000;          ///< what we send
inline constexpr std::size_t kMaxReceivedPayload = 4096;  ///< what we accept: some stubs use 4096 (quirk Q9)
inline constexpr std::size_t kMaxFrame = kHeaderSize + kMaxReceivedPayload + 1;

enum class PacketType : std::uint16_t {
  kUnused = 0,
  kStateChange32 = 1,
  kStateManipulate = 2,
  kDebugIo = 3,
  kAcknowledge = 4,
  kResend = 5,
  kReset = 6,
  kStateChange64 = 7,
  kPollBreakIn = 8,
  kTraceIo = 9,
  kControlRequest = 10,
  kFileIo = 11,
};

struct PacketHeader {
  std::uint32_t leader = 0;
  PacketType type = PacketType::kUnused;
  std::uint16_t byte_count = 0;
  std::uint32_t id = 0;
  std::uint32_t checksum = 0;
};

/// `bytes` shorter than a header: the missing fields are 0.
PacketHeader DecodeHeader(ByteView bytes);
std::array<std::byte, kHeaderSize> EncodeHeader(const PacketHeader& header);

/// Sum of the bytes as a u32, wrap-around ignored.
std::uint32_t Checksum(ByteView payload);

/// Header, payload, trailing AA. Payload beyond 65535 bytes is cut; the caller keeps to kMaxPayload.
Bytes EncodeDataPacket(PacketType type, std::uint32_t id, ByteView payload);
/// The 16 bytes of an acknowledge, resend or reset.
Bytes EncodeControlPacket(PacketType type, std::uint32_t id);

}  // namespace longwire::kd
