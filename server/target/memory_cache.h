#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "proto/address_space.h"

namespace longwire {

/// Memory read during one stop, by address space. Bytes are what the user shall see: planted breakpoints are
/// not in them. Whoever changes or resumes the target calls Clear().
class MemoryCache {
 public:
  static constexpr std::uint64_t kPageBytes = 4096;

  explicit MemoryCache(std::size_t capacity_bytes = 32u << 20)
      : max_pages_(capacity_bytes / kPageBytes + 1) {}

  /// Copies the known bytes from `address` on, until the first unknown one or the end of `out`; returns their
  /// number.
  std::size_t Copy(const AddressSpace& space, std::uint64_t address, std::span<std::byte> out) const;
  /// Length of the unknown run that starts at `address`, at most `limit`.
  std::uint64_t Missing(const AddressSpace& space, std::uint64_t address, std::uint64_t limit) const;
  /// Takes bytes of the target. When the cache is full it starts anew.
  void Store(const AddressSpace& space, std::uint64_t address, std::span<const std::byte> bytes);
  void Clear() { pages_.clear(); }

 private:
  struct Page {
    std::array<std::byte, kPageBytes> bytes;
    std::bitset<kPageBytes> known;
  };
  const Page* Find(const AddressSpace& space, std::uint64_t address) const;

  std::size_t max_pages_;
  std::map<std::pair<AddressSpace, std::uint64_t>, std::unique_ptr<Page>> pages_;
};

}  // namespace longwire
