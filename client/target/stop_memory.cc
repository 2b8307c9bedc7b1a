#include "client/target/stop_memory.h"

#include <algorithm>
#include <cstring>

namespace longwire {

const StopMemory::Page* StopMemory::Find(AddressSpace space, std::uint64_t address) const {
  auto found = pages_.find({space, address / kPageBytes});
  return found == pages_.end() ? nullptr : found->second.get();
}

StopMemory::Page& StopMemory::Make(AddressSpace space, std::uint64_t address) {
  // Forgetting everything is always correct; a finer policy would not pay for itself within one stop.
  if (pages_.size() >= limit_) pages_.clear();
  auto& page = pages_[{space, address / kPageBytes}];
  if (!page) page = std::make_unique<Page>();
  return *page;
}

void StopMemory::set_limit(std::size_t pages) {
  limit_ = std::min(pages, kMaxPages);
  if (pages_.size() > limit_) pages_.clear();
}

std::size_t StopMemory::ReadKnown(AddressSpace space, std::uint64_t address, std::span<std::byte> out) const {
  std::size_t copied = 0;
  while (copied < out.size()) {
    std::uint64_t at = address + copied;
    const Page* page = Find(space, at);
    if (!page) break;
    std::size_t offset = at % kPageBytes;
    std::size_t end = std::min<std::size_t>(kPageBytes, offset + (out.size() - copied));
    std::size_t run = offset;
    while (run < end && page->known[run]) ++run;
    std::memcpy(out.data() + copied, page->bytes.data() + offset, run - offset);
    copied += run - offset;
    if (run < end) break;
  }
  return copied;
}

bool StopMemory::KnownUnreadable(AddressSpace space, std::uint64_t address) const {
  const Page* page = Find(space, address);
  return page && address % kPageBytes >= page->unreadable_from && !page->known[address % kPageBytes];
}

std::vector<rpc::ReadRange> StopMemory::Missing(AddressSpace space, std::uint64_t address,
                                                std::uint64_t size) const {
  std::vector<rpc::ReadRange> missing;
  std::uint64_t end =
      size > ~address ? ~std::uint64_t{0} : address + size;  // the last byte of the space is never asked
  std::uint64_t at = address;
  while (at < end) {
    std::uint64_t chunk = at / kChunkBytes * kChunkBytes;
    std::uint64_t chunk_end = chunk + kChunkBytes < chunk ? end : chunk + kChunkBytes;
    const Page* page = Find(space, at);
    bool wanted = page == nullptr;
    if (page) {
      std::uint64_t last = std::min(chunk_end, end) - 1;
      for (std::uint64_t byte = at; byte <= last && !wanted; ++byte) {
        if (page->known[byte % kPageBytes]) continue;
        if (byte % kPageBytes >= page->unreadable_from) return missing;
        wanted = true;
      }
    }
    if (wanted) {
      if (!missing.empty() && missing.back().address + missing.back().size == chunk) {
        missing.back().size += chunk_end - chunk;
      } else {
        missing.push_back({chunk, chunk_end - chunk});
      }
    }
    at = chunk_end;
  }
  return missing;
}

void StopMemory::Insert(AddressSpace space, std::uint64_t address, std::span<const std::byte> bytes) {
  if (!Keeps(space) || limit_ == 0) return;
  std::size_t done = 0;
  while (done < bytes.size()) {
    std::uint64_t at = address + done;
    std::size_t offset = at % kPageBytes;
    std::size_t length = std::min<std::size_t>(kPageBytes - offset, bytes.size() - done);
    Page& page = Make(space, at);
    std::memcpy(page.bytes.data() + offset, bytes.data() + done, length);
    for (std::size_t i = 0; i < length; ++i) page.known.set(offset + i);
    done += length;
  }
}

void StopMemory::MarkUnreadable(AddressSpace space, std::uint64_t address) {
  if (!Keeps(space) || limit_ == 0) return;
  Page& page = Make(space, address);
  page.unreadable_from = std::min(page.unreadable_from, address % kPageBytes);
}

}  // namespace longwire
