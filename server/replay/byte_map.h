#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>

#include "proto/kd/bytes.h"

namespace longwire {

/// Bytes known of an address space, by address. Later ones win.
class ByteMap {
 public:
  void Put(std::uint64_t address, kd::ByteView bytes) {
    for (const std::byte byte : bytes) {
      Page& page = pages_[address / kPageSize];
      page.bytes[address % kPageSize] = byte;
      page.known.set(address % kPageSize);
      ++address;
    }
  }
  bool Knows(std::uint64_t address) const {
    const auto page = pages_.find(address / kPageSize);
    return page != pages_.end() && page->second.known.test(address % kPageSize);
  }
  /// Only where Knows().
  std::byte At(std::uint64_t address) const {
    return pages_.at(address / kPageSize).bytes[address % kPageSize];
  }

 private:
  static constexpr std::size_t kPageSize = 4096;
  struct Page {
    std::array<std::byte, kPageSize> bytes{};
    std::bitset<kPageSize> known;
  };
  std::map<std::uint64_t, Page> pages_;
};

}  // namespace longwire
