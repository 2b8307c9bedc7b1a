#include "server/target/target_memory.h"

#include <algorithm>
#include <cstring>

namespace longwire {
namespace {

constexpr std::uint64_t kPage = MemoryCache::kPageBytes;
constexpr std::uint64_t kPageMask = ~(kPage - 1);
/// The target is deaf while it searches: it must answer well before a reply counts as lost, and a search must
/// be cancelled between two requests.
constexpr std::uint64_t kSearchPart = 1 << 20;
/// Addresses below an absent table cost no exchange, so a client could ask for any number of them.
constexpr std::size_t kMaxMappings = 65'536;

std::uint64_t ToPageEnd(std::uint64_t address) { return kPage - address % kPage; }

}  // namespace

/// An address space ends at 2^64, a virtual one of a 32-bit machine at 2^32: a range never wraps. Addresses
/// of such a machine may come sign-extended.
std::uint64_t TargetMemory::ClipToSpace(AddressSpace space, std::uint64_t& address,
                                        std::uint64_t size) const {
  if (space.kind != AddressSpace::Kind::kPhysical) {
    address = kd::PlainAddress(source_.machine(), address);
    constexpr std::uint64_t kNarrowEnd = std::uint64_t{1} << 32;
    if (kd::PointerSize(source_.machine()) == 4 && address < kNarrowEnd)
      return std::min(size, kNarrowEnd - address);
  }
  return address == 0 ? size : std::min(size, std::uint64_t{0} - address);
}

void TargetMemory::Forget() {
  cache_.Clear();
  tables_.Clear();
  mappings_.clear();
  paging_.reset();
}

void TargetMemory::OnStop(std::uint16_t processor, std::uint64_t program_counter) {
  Forget();
  processor_ = processor;
  program_counter_ = program_counter;
}

Task<Result<void>> TargetMemory::Read(AddressSpace space, std::uint64_t address, std::uint64_t size,
                                      bool uncached, kd::Bytes& out) {
  size = ClipToSpace(space, address, size);
  const bool cached = !uncached && space.kind != AddressSpace::Kind::kPhysical;
  const std::size_t start = out.size();
  out.resize(start + size);
  std::uint64_t done = 0;
  while (done < size) {
    const std::uint64_t at = address + done;
    if (cached) {
      done += cache_.Copy(space, at, std::span(out).subspan(start + done, size - done));
      if (done == size) break;
      if (at != address + done) continue;
    }
    std::uint64_t from = at;
    std::uint64_t count = size - done;
    if (cached) {
      count = cache_.Missing(space, at, count);
      if (count <= line_bytes_) {
        // A small read is widened to whole lines, inside the page: a neighbour that is absent must not cost
        // an exchange.
        const std::uint64_t page_end = (at & kPageMask) + (kPage - 1);
        from = at - at % line_bytes_;
        const std::uint64_t last = std::min(page_end, (at + count - 1) | (line_bytes_ - 1));
        count = last - from + 1;
      }
    }
    count = std::min<std::uint64_t>(count, kd::kMaxManipulateData);
    Result<Chunk> chunk = co_await ReadChunk(space, from, static_cast<std::uint32_t>(count), uncached);
    if (chunk && from != at && chunk->data.size() <= at - from && source_.sparse()) {
      count = from + count - at;
      from = at;
      chunk = co_await ReadChunk(space, from, static_cast<std::uint32_t>(count), uncached);
    }
    if (!chunk) {
      out.resize(start + done);
      co_return chunk.error();
    }
    if (BreakpointsShowIn(space, from)) breakpoints_.Hide(from, chunk->data);
    if (cached) cache_.Store(space, from, chunk->data);
    const std::uint64_t skip = at - from;
    if (chunk->data.size() > skip) {
      const std::uint64_t usable = std::min<std::uint64_t>(chunk->data.size() - skip, size - done);
      std::memcpy(out.data() + start + done, chunk->data.data() + skip, usable);
      done += usable;
    } else if (skip != 0 && !chunk->ended) {
      continue;
    } else {
      break;
    }
    if (chunk->ended && done < size) break;
  }
  out.resize(start + done);
  co_return Result<void>{};
}

Task<Result<TargetMemory::Chunk>> TargetMemory::ReadChunk(AddressSpace space, std::uint64_t address,
                                                          std::uint32_t count, bool uncached) {
  switch (space.kind) {
    case AddressSpace::Kind::kVirtual: co_return co_await source_.ReadVirtual(processor_, address, count);
    case AddressSpace::Kind::kPhysical:
      co_return co_await source_.ReadPhysical(processor_, address, count, uncached);
    case AddressSpace::Kind::kPageTable: break;
  }
  co_return co_await ReadTranslated(space, address, count, uncached);
}

Task<Result<TargetMemory::Chunk>> TargetMemory::ReadTranslated(AddressSpace space, std::uint64_t address,
                                                               std::uint32_t count, bool uncached) {
  Chunk chunk;
  while (chunk.data.size() < count && !chunk.ended) {
    const std::uint64_t at = address + chunk.data.size();
    Result<Mapping> mapping = co_await Translate(space, at);
    if (!mapping) co_return mapping.error();
    if (!mapping->resolved) {
      chunk.ended = true;
      break;
    }
    const auto want =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(count - chunk.data.size(), ToPageEnd(at)));
    Result<Chunk> part = co_await source_.ReadPhysical(processor_, mapping->physical, want, uncached);
    if (!part) co_return part.error();
    chunk.data.insert(chunk.data.end(), part->data.begin(), part->data.end());
    chunk.ended = part->ended;
  }
  co_return chunk;
}

Task<Result<kd::Bytes>> TargetMemory::ReadTable(std::uint64_t physical, std::uint32_t length) {
  kd::Bytes entry(length);
  const AddressSpace space = AddressSpace::Physical();
  if (tables_.Copy(space, physical, entry) < length) {
    // Page tables are RAM: neighbours of the entry are wanted next.
    constexpr std::uint64_t kLine = 64;
    const std::uint64_t from = physical - physical % kLine;
    Result<Chunk> chunk = co_await source_.ReadPhysical(processor_, from, kLine, false);
    if (!chunk) co_return chunk.error();
    tables_.Store(space, from, chunk->data);
    entry.resize(tables_.Copy(space, physical, entry));
  }
  co_return entry;
}

Task<Result<TargetMemory::Mapping>> TargetMemory::Translate(AddressSpace space, std::uint64_t address) {
  const std::pair key{space.directory_base, address & kPageMask};
  if (const auto known = mappings_.find(key); known != mappings_.end()) {
    Mapping mapping = known->second;
    mapping.physical += address % kPage;
    co_return mapping;
  }
  if (!paging_) {
    Result<kd::PagingMode> mode = co_await source_.ReadPagingMode(processor_);
    if (!mode) co_return mode.error();
    paging_ = *mode;
  }
  kd::Translation walk(*paging_, space.directory_base, key.second);
  while (walk.Next().outcome == kd::Translation::Outcome::kRead) {
    Result<kd::Bytes> entry = co_await ReadTable(walk.Next().address, walk.Next().length);
    if (!entry) co_return entry.error();
    walk.Supply(*entry);
  }
  Mapping mapping{walk.Next().address, walk.Next().page_size, walk.Resolved()};
  if (mappings_.size() >= kMaxMappings) mappings_.clear();
  mappings_[key] = mapping;
  mapping.physical += address % kPage;
  co_return mapping;
}

bool TargetMemory::BreakpointsShowIn(const AddressSpace& space, std::uint64_t address) const {
  if (space.kind == AddressSpace::Kind::kVirtual) return true;
  const bool kernel =
      kd::PointerSize(source_.machine()) == 8 ? (address >> 63) != 0 : (address & 0x80000000u) != 0;
  return space.kind == AddressSpace::Kind::kPageTable && kernel;
}

Task<Result<std::uint64_t>> TargetMemory::Write(AddressSpace space, std::uint64_t address,
                                                std::span<const std::byte> data, const WorkLimit& limit) {
  data = data.first(ClipToSpace(space, address, data.size()));
  std::uint64_t done = 0;
  Forget();
  while (done < data.size() && !limit.Over(source_.now())) {
    std::uint64_t at = address + done;
    std::uint64_t want = std::min<std::uint64_t>(data.size() - done, kd::kMaxManipulateData);
    want = std::min(want, ToPageEnd(at));
    kd::Bytes bytes(data.begin() + done, data.begin() + done + want);
    if (BreakpointsShowIn(space, at)) breakpoints_.CoverWrite(at, bytes);
    AddressSpace target = space;
    if (space.kind == AddressSpace::Kind::kPageTable) {
      Result<Mapping> mapping = co_await Translate(space, at);
      if (!mapping) co_return mapping.error();
      if (!mapping->resolved) break;
      at = mapping->physical;
      target = AddressSpace::Physical();
    }
    const bool physical = target.kind == AddressSpace::Kind::kPhysical;
    Result<std::uint32_t> written = co_await source_.Write(processor_, physical, at, std::move(bytes));
    if (!written) co_return written.error();
    done += *written;
    if (*written < want) break;
  }
  // What was written may be page tables: translations made for this write are dropped as well.
  Forget();
  co_return done;
}

Task<Result<std::optional<std::uint64_t>>> TargetMemory::Search(AddressSpace space, std::uint64_t start,
                                                                std::uint64_t length,
                                                                std::span<const std::byte> pattern,
                                                                const WorkLimit& limit) {
  length = ClipToSpace(space, start, length);
  if (space.kind != AddressSpace::Kind::kVirtual || length < 2 * kPage) {
    co_return co_await SearchByReading(space, start, length, pattern, limit);
  }
  Result<bool> searches = co_await SourceSearches();
  if (!searches) co_return searches.error();
  if (!*searches) {
    co_return co_await SearchByReading(space, start, length, pattern, limit);
  }
  co_return co_await SearchRemote(start, length, pattern, limit);
}

Task<Result<bool>> TargetMemory::SourceSearches() {
  constexpr std::uint32_t kProbe = 8;
  kd::Bytes known;
  Result<void> read = co_await Read(AddressSpace::Virtual(), program_counter_, kProbe, false, known);
  if (!read) co_return read.error();
  if (known.size() < kProbe) co_return false;
  co_return co_await source_.Searches(program_counter_, known);
}

Task<Result<std::optional<std::uint64_t>>> TargetMemory::SearchRemote(std::uint64_t start,
                                                                      std::uint64_t length,
                                                                      std::span<const std::byte> pattern,
                                                                      const WorkLimit& limit) {
  // The target searches its raw memory. Around planted breakpoints that differs from what the user sees, so
  // those few bytes are searched here.
  std::optional<std::uint64_t> first;
  for (const std::uint64_t address : breakpoints_.CodeAddresses()) {
    const std::uint64_t reach = pattern.size() - 1;
    const std::uint64_t low = std::max(start, address < reach ? 0 : address - reach);
    const std::uint64_t high = std::min(start + length, address + breakpoints_.instruction_size());
    if (low >= high || (first && *first <= low)) continue;
    auto found = co_await SearchByReading(AddressSpace::Virtual(), low, high - low, pattern, limit);
    if (!found) co_return found.error();
    if (*found && (!first || **found < *first)) first = *found;
  }
  const std::uint64_t end = start + length;
  while (start < end && !limit.Over(source_.now())) {
    // Both sides of the seam between two parts are searched, so that nothing hides across it.
    const std::uint64_t part = std::min(end - start, kSearchPart);
    auto found = co_await source_.Search(start, std::min(end - start, part + pattern.size() - 1), pattern);
    if (!found) co_return found.error();
    const std::optional<std::uint64_t> hit = *found;
    if (!hit || *hit < start || *hit >= end) {
      start += part;
      if (first && *first < start) break;
      continue;
    }
    if (first && *first <= *hit) break;
    kd::Bytes seen;
    Result<void> read = co_await Read(AddressSpace::Virtual(), *hit, pattern.size(), false, seen);
    if (!read) co_return read.error();
    if (std::equal(seen.begin(), seen.end(), pattern.begin(), pattern.end())) co_return hit;
    start = *hit + 1;
  }
  co_return first;
}

Task<Result<std::optional<std::uint64_t>>> TargetMemory::SearchByReading(AddressSpace space,
                                                                         std::uint64_t start,
                                                                         std::uint64_t length,
                                                                         std::span<const std::byte> pattern,
                                                                         const WorkLimit& limit) {
  const std::uint64_t reach = pattern.size() - 1;
  std::uint64_t done = 0;
  while (done < length && !limit.Over(source_.now())) {
    const std::uint64_t at = start + done;
    const std::uint64_t starts = std::min<std::uint64_t>(length - done, kd::kMaxManipulateData - reach);
    kd::Bytes bytes;
    Result<void> read = co_await Read(space, at, starts + reach, false, bytes);
    if (!read) co_return read.error();
    const auto hit = std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end());
    if (hit != bytes.end()) co_return std::optional<std::uint64_t>(at + (hit - bytes.begin()));
    if (bytes.size() == starts + reach) {
      done += starts;
    } else {
      // Unreadable from here to the end of the page: the pattern cannot lie across it.
      const std::uint64_t hole = at + bytes.size();
      done = hole - start + ToPageEnd(hole);
    }
  }
  co_return std::optional<std::uint64_t>{};
}

}  // namespace longwire
