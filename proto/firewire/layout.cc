#include "proto/firewire/layout.h"

#include <algorithm>
#include <string>

namespace longwire::firewire {
namespace {

constexpr std::uint32_t kDebugKeyword = 0x1C0050F2, kDebugUnit = 0x1D000002, kAddressKey = 0x1E;
constexpr std::uint16_t kMajorVersion = 1;
constexpr std::uint64_t kAddressLimit = std::uint64_t{1} << 32;

/// The controller answers by itself for memory below 4 GiB only.
bool IsReachable(std::uint64_t address) {
  return address != 0 && address % 4 == 0 && address <= kAddressLimit - kPacketSize;
}

}  // namespace

std::optional<std::uint64_t> FindConfiguration(std::span<const std::uint32_t> rom) {
  if (rom.empty()) return std::nullopt;
  const std::size_t directory = 1 + (rom[0] >> 24);  // behind the bus information block
  if (directory >= rom.size()) return std::nullopt;
  const std::size_t entries = std::min<std::size_t>(rom[directory] >> 16, rom.size() - directory - 1);
  const auto root = rom.subspan(directory + 1, entries);
  for (std::size_t i = 0; i + 2 < root.size(); ++i) {
    if (root[i] == kDebugKeyword && root[i + 1] == kDebugUnit && root[i + 2] >> 24 == kAddressKey)
      return root[i + 2] & 0xFFFFFF;
  }
  return std::nullopt;
}

Result<Configuration> ParseConfiguration(ByteView block, std::uint8_t channel) {
  if (block.size() < kConfigurationSize || kd::Load32(block, 0) != kConfigurationTag)
    return Error{Errc::kMalformed, "its memory does not hold the debugging block that its ROM announces"};
  if (const auto major = kd::Load16(block, 4); major != kMajorVersion) {
    return Error{Errc::kUnsupported, "it speaks version " + std::to_string(major) +
                                         " of debugging over 1394, this program version 1"};
  }
  if (const auto id = kd::Load32(block, 8); id != channel)
    return Error{Errc::kNotFound, "it waits on channel " + std::to_string(id)};
  const Configuration found{kd::Load64(block, 0x10), kd::Load64(block, 0x18)};
  const std::uint64_t apart =
      found.send > found.receive ? found.send - found.receive : found.receive - found.send;
  if (!IsReachable(found.send) || !IsReachable(found.receive) || apart < kPacketSize)
    return Error{Errc::kMalformed, "its debugging block names addresses that cannot be"};
  return found;
}

}  // namespace longwire::firewire
