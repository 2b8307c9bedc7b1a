#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "proto/address_space.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// What is known of a halted target's memory: bytes read, and bytes found unreadable. Lives for one stop;
/// whoever owns it clears it when the target may have changed. Physical memory is not kept: it may be a
/// device's.
class StopMemory {
 public:
  static constexpr std::uint64_t kPageBytes = 4096;
  /// Reads are widened to whole chunks, so that looking around costs no further round trip. A chunk never
  /// leaves its page: what is readable changes at page borders only.
  static constexpr std::uint64_t kChunkBytes = 512;
  static constexpr std::size_t kMaxPages = 16384;

  static bool Keeps(AddressSpace space) { return space.kind != AddressSpace::Kind::kPhysical; }

  /// Copies the known bytes at the front of the range; returns how many.
  std::size_t ReadKnown(AddressSpace space, std::uint64_t address, std::span<std::byte> out) const;
  bool KnownUnreadable(AddressSpace space, std::uint64_t address) const;
  /// Chunks to ask for so that the range is known up to its first unreadable byte; in order, merged.
  std::vector<rpc::ReadRange> Missing(AddressSpace space, std::uint64_t address, std::uint64_t size) const;

  void Insert(AddressSpace space, std::uint64_t address, std::span<const std::byte> bytes);
  /// The byte at `address` cannot be read, and so neither can the rest of its page.
  void MarkUnreadable(AddressSpace space, std::uint64_t address);
  void Clear() { pages_.clear(); }
  std::size_t pages() const { return pages_.size(); }
  /// At most kMaxPages; fewer pages than are kept forgets them.
  void set_limit(std::size_t pages);
  std::size_t limit() const { return limit_; }

 private:
  struct Page {
    std::array<std::byte, kPageBytes> bytes;
    std::bitset<kPageBytes> known;
    std::uint64_t unreadable_from = kPageBytes;  ///< offset from which the page is known to be unreadable
  };
  using Key = std::pair<AddressSpace, std::uint64_t>;  ///< page number

  const Page* Find(AddressSpace space, std::uint64_t address) const;
  Page& Make(AddressSpace space, std::uint64_t address);

  std::map<Key, std::unique_ptr<Page>> pages_;
  std::size_t limit_ = kMaxPages;
};

}  // namespace longwire
