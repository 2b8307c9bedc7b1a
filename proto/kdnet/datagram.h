#pragma once

#include <cstdint>
#include <optional>

#include "proto/kdnet/key.h"

namespace longwire::kdnet {

/// One UDP datagram (kd-protocol.md 6.2): header, ciphertext, tag.
inline constexpr std::size_t kLargestDatagram = 1472;
inline constexpr std::size_t kSmallestDatagram = 38;
/// What fits into the largest datagram: 90 cipher blocks less the metadata.
inline constexpr std::size_t kLargestBody = 1432;

enum class Channel : std::uint8_t { kData = 0, kControl = 1 };
enum class Direction : std::uint8_t { kToHost, kToTarget };

struct Datagram {
  std::uint8_t version = 0;
  Channel channel = Channel::kData;
  Direction direction = Direction::kToHost;
  std::uint64_t sequence = 0;  ///< 56 bits
  Bytes body;
};

/// The channel of what may be a datagram: size, magic and channel are right. Nothing is verified.
std::optional<Channel> ChannelOf(ByteView bytes);
/// Decrypts with `cipher_key` and verifies with `mac_key`; nullopt: not of this key, damaged, or of the wrong
/// direction.
std::optional<Datagram> Open(ByteView bytes, const Block& mac_key, const Block& cipher_key,
                             Direction direction);
/// `datagram.body` is at most kLargestBody bytes.
Bytes Seal(const Datagram& datagram, const Block& mac_key, const Block& cipher_key);

}  // namespace longwire::kdnet
