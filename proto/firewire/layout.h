#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "proto/error.h"
#include "proto/kd/bytes.h"

namespace longwire::firewire {

using kd::Bytes;
using kd::ByteView;

/// Structures that a target with debugging over IEEE 1394 has in its memory, and reads or writes of them
/// (kd-protocol.md 7.2, 7.3). All integers little-endian; sizes in bytes.
inline constexpr std::size_t kConfigurationSize = 0x20;
inline constexpr std::uint32_t kConfigurationTag = 0xBABABABA;
/// Both packets begin with their status.
inline constexpr std::uint32_t kStatusFree = 0, kStatusPending = 0x103;
inline constexpr std::size_t kStatusSize = 4;
/// Target to host: status, KD header, length of the payload, payload.
inline constexpr std::size_t kSendHeader = 0x04, kSendLength = 0x14, kSendPayload = 0x18;
/// Host to target: status, length of what follows, KD header and payload.
inline constexpr std::size_t kReceiveLength = 0x04, kReceivePacket = 0x08;
inline constexpr std::size_t kPacketSize = 4096, kMostPayload = 4000;

struct Configuration {
  std::uint64_t send = 0, receive = 0;  ///< physical addresses
};

/// Where the configuration block stands, by a node's configuration ROM (quadlets in host order). nullopt: the
/// node is no machine that waits for a debugger.
std::optional<std::uint64_t> FindConfiguration(std::span<const std::uint32_t> rom);

/// Reads the block. Errors: kMalformed (no such block, or addresses that cannot be), kUnsupported (another
/// version), kNotFound (the machine is on another channel).
Result<Configuration> ParseConfiguration(ByteView block, std::uint8_t channel);

}  // namespace longwire::firewire
