#include "proto/kdnet/datagram.h"

#include <algorithm>
#include <array>

namespace longwire::kdnet {
namespace {

constexpr std::array kMagic{std::byte{'M'}, std::byte{'D'}, std::byte{'B'}, std::byte{'G'}};
constexpr std::size_t kVersionAt = 4, kChannelAt = 5, kHeaderSize = 6, kMetadataSize = 8;
constexpr std::byte kToTargetFlag{0x80}, kPaddingMask{0x7F};

Bytes Plaintext(const Datagram& datagram) {
  const std::size_t used = kMetadataSize + datagram.body.size();
  const std::size_t padding = (kCipherBlockSize - used % kCipherBlockSize) % kCipherBlockSize;
  Bytes text;
  text.reserve(used + padding);
  for (int shift = 48; shift >= 0; shift -= 8)
    text.push_back(static_cast<std::byte>(datagram.sequence >> shift));
  const std::byte direction = datagram.direction == Direction::kToTarget ? kToTargetFlag : std::byte{0};
  text.push_back(direction | static_cast<std::byte>(padding));
  text.insert(text.end(), datagram.body.begin(), datagram.body.end());
  text.resize(used + padding);
  return text;
}

}  // namespace

std::optional<Channel> ChannelOf(ByteView bytes) {
  if (bytes.size() < kSmallestDatagram || bytes.size() > kLargestDatagram) return std::nullopt;
  if ((bytes.size() - kHeaderSize - kTagSize) % kCipherBlockSize != 0) return std::nullopt;
  if (!std::equal(kMagic.begin(), kMagic.end(), bytes.begin())) return std::nullopt;
  if (bytes[kChannelAt] > std::byte{1}) return std::nullopt;
  return static_cast<Channel>(bytes[kChannelAt]);
}

std::optional<Datagram> Open(ByteView bytes, const Block& mac_key, const Block& cipher_key,
                             Direction direction) {
  const auto channel = ChannelOf(bytes);
  if (!channel) return std::nullopt;
  Tag tag{};
  std::copy_n(bytes.end() - kTagSize, kTagSize, tag.begin());
  const ByteView header = bytes.first(kHeaderSize);
  const Bytes text =
      Decrypt(cipher_key, tag, bytes.subspan(kHeaderSize, bytes.size() - kHeaderSize - kTagSize));
  if (!Equal(tag, Authenticate(mac_key, header, text))) return std::nullopt;

  const std::byte flags = text[kMetadataSize - 1];
  const std::size_t padding = std::to_integer<std::size_t>(flags & kPaddingMask);
  const bool to_target = (flags & kToTargetFlag) != std::byte{0};
  if (to_target != (direction == Direction::kToTarget)) return std::nullopt;
  if (padding >= kCipherBlockSize || padding > text.size() - kMetadataSize) return std::nullopt;
  Datagram datagram{std::to_integer<std::uint8_t>(bytes[kVersionAt]), *channel, direction, 0, {}};
  for (std::size_t i = 0; i + 1 < kMetadataSize; ++i) {
    datagram.sequence = datagram.sequence << 8 | std::to_integer<std::uint64_t>(text[i]);
  }
  datagram.body.assign(text.begin() + kMetadataSize, text.end() - static_cast<std::ptrdiff_t>(padding));
  return datagram;
}

Bytes Seal(const Datagram& datagram, const Block& mac_key, const Block& cipher_key) {
  Bytes bytes(kMagic.begin(), kMagic.end());
  bytes.push_back(static_cast<std::byte>(datagram.version));
  bytes.push_back(static_cast<std::byte>(datagram.channel));
  const Bytes text = Plaintext(datagram);
  const Tag tag = Authenticate(mac_key, bytes, text);
  const Bytes cipher = Encrypt(cipher_key, tag, text);
  bytes.insert(bytes.end(), cipher.begin(), cipher.end());
  bytes.insert(bytes.end(), tag.begin(), tag.end());
  return bytes;
}

}  // namespace longwire::kdnet
