#include "server/target/memory_cache.h"

#include <algorithm>
#include <cstring>

namespace longwire {

const MemoryCache::Page* MemoryCache::Find(const AddressSpace& space, std::uint64_t address) const {
  const auto found = pages_.find({space, address / kPageBytes});
  return found == pages_.end() ? nullptr : found->second.get();
}

std::size_t MemoryCache::Copy(const AddressSpace& space, std::uint64_t address,
                              std::span<std::byte> out) const {
  std::size_t copied = 0;
  while (copied < out.size()) {
    const Page* page = Find(space, address);
    if (page == nullptr) break;
    const std::size_t offset = address % kPageBytes;
    const std::size_t want = std::min<std::size_t>(kPageBytes - offset, out.size() - copied);
    std::size_t known = 0;
    while (known < want && page->known[offset + known]) ++known;
    std::memcpy(out.data() + copied, page->bytes.data() + offset, known);
    copied += known;
    address += known;
    if (known < want) break;
  }
  return copied;
}

std::uint64_t MemoryCache::Missing(const AddressSpace& space, std::uint64_t address,
                                   std::uint64_t limit) const {
  std::uint64_t missing = 0;
  while (missing < limit) {
    const std::size_t offset = address % kPageBytes;
    const std::uint64_t want = std::min<std::uint64_t>(kPageBytes - offset, limit - missing);
    const Page* page = Find(space, address);
    std::uint64_t unknown = want;
    if (page != nullptr) {
      unknown = 0;
      while (unknown < want && !page->known[offset + unknown]) ++unknown;
    }
    missing += unknown;
    address += unknown;
    if (unknown < want) break;
  }
  return missing;
}

void MemoryCache::Store(const AddressSpace& space, std::uint64_t address, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t offset = address % kPageBytes;
    const std::size_t size = std::min<std::size_t>(kPageBytes - offset, bytes.size());
    auto& page = pages_[{space, address / kPageBytes}];
    if (page == nullptr) {
      if (pages_.size() > max_pages_) {
        pages_.clear();
        continue;
      }
      page = std::make_unique<Page>();
    }
    std::memcpy(page->bytes.data() + offset, bytes.data(), size);
    for (std::size_t i = 0; i < size; ++i) page->known.set(offset + i);
    bytes = bytes.subspan(size);
    address += size;
  }
}

}  // namespace longwire
