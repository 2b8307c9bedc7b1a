#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace longwire::kd {

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

/// Little-endian load of an unsigned integer. Bytes beyond the end read as zero: KD packets of old targets
/// and of stubs are shorter than the structures, and a field that is not there is 0.
template <class Unsigned>
constexpr Unsigned Load(ByteView data, std::size_t offset) {
  Unsigned value = 0;
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
    if (offset < data.size() && i < data.size() - offset) {
      value = static_cast<Unsigned>(value | static_cast<Unsigned>(std::to_integer<Unsigned>(data[offset + i]))
                                                << (8 * i));
    }
  }
  return value;
}

constexpr std::uint8_t Load8(ByteView data, std::size_t offset) { return Load<std::uint8_t>(data, offset); }
constexpr std::uint16_t Load16(ByteView data, std::size_t offset) {
  return Load<std::uint16_t>(data, offset);
}
constexpr std::uint32_t Load32(ByteView data, std::size_t offset) {
  return Load<std::uint32_t>(data, offset);
}
constexpr std::uint64_t Load64(ByteView data, std::size_t offset) {
  return Load<std::uint64_t>(data, offset);
}

/// Little-endian store; `offset + sizeof(value)` must lie inside `data`.
template <class Unsigned>
constexpr void Store(std::span<std::byte> data, std::size_t offset, Unsigned value) {
  for (std::size_t i = 0; i < sizeof(Unsigned); ++i) {
    data[offset + i] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

}  // namespace longwire::kd
