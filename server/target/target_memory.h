#pragma once

#include <map>
#include <optional>
#include <span>

#include "server/target/breakpoint_table.h"
#include "server/target/memory_cache.h"
#include "server/target/memory_source.h"
#include "server/target/work_limit.h"

namespace longwire {

/// Memory of a stopped target as the user shall see it: through the cache of this stop, without our
/// breakpoints, in any address space. Unreadable memory is no error: reads give the readable prefix. Errors
/// are those of the line.
class TargetMemory {
 public:
  /// `line_bytes`: what a small read is widened to, never across a page; a power of two, at most 2048.
  TargetMemory(MemorySource& source, BreakpointTable& breakpoints, std::size_t line_bytes)
      : source_(source), breakpoints_(breakpoints), line_bytes_(line_bytes) {}
  void SetLineBytes(std::size_t line_bytes) { line_bytes_ = line_bytes; }

  kd::TimePoint now() const { return source_.now(); }

  /// Appends the readable prefix of [address, address + size) to `out`. `uncached` reads exactly what is
  /// asked for.
  Task<Result<void>> Read(AddressSpace space, std::uint64_t address, std::uint64_t size, bool uncached,
                          kd::Bytes& out);
  /// Without any exchange: true when all of `out` was known.
  bool ReadKnown(const AddressSpace& space, std::uint64_t address, std::span<std::byte> out) const {
    return space.kind != AddressSpace::Kind::kPhysical &&
           cache_.Copy(space, kd::PlainAddress(source_.machine(), address), out) == out.size();
  }
  /// Bytes written, from `address` on: fewer when the target refuses, or when `limit` is over.
  Task<Result<std::uint64_t>> Write(AddressSpace space, std::uint64_t address,
                                    std::span<const std::byte> data, const WorkLimit& limit);
  /// First address in [start, start + length) where `pattern` begins. Ends early, as not found, when `limit`
  /// is over; checked between exchanges.
  Task<Result<std::optional<std::uint64_t>>> Search(AddressSpace space, std::uint64_t start,
                                                    std::uint64_t length, std::span<const std::byte> pattern,
                                                    const WorkLimit& limit);

  /// The stop ended, or something was changed: nothing known is true any more.
  void Forget();
  /// Processor whose state-change address space plain virtual reads use, and its program counter.
  void OnStop(std::uint16_t processor, std::uint64_t program_counter);

 private:
  using Chunk = MemorySource::Chunk;
  struct Mapping {
    std::uint64_t physical = 0, page_size = 0;
    bool resolved = false;
  };

  std::uint64_t ClipToSpace(AddressSpace space, std::uint64_t& address, std::uint64_t size) const;
  Task<Result<Chunk>> ReadChunk(AddressSpace space, std::uint64_t address, std::uint32_t count,
                                bool uncached);
  Task<Result<Chunk>> ReadTranslated(AddressSpace space, std::uint64_t address, std::uint32_t count,
                                     bool uncached);
  Task<Result<Mapping>> Translate(AddressSpace space, std::uint64_t address);
  Task<Result<kd::Bytes>> ReadTable(std::uint64_t physical, std::uint32_t length);
  Task<Result<bool>> SourceSearches();
  Task<Result<std::optional<std::uint64_t>>> SearchRemote(std::uint64_t start, std::uint64_t length,
                                                          std::span<const std::byte> pattern,
                                                          const WorkLimit& limit);
  Task<Result<std::optional<std::uint64_t>>> SearchByReading(AddressSpace space, std::uint64_t start,
                                                             std::uint64_t length,
                                                             std::span<const std::byte> pattern,
                                                             const WorkLimit& limit);
  /// Breakpoints stand in kernel memory under every page table, in user memory only where they were set.
  bool BreakpointsShowIn(const AddressSpace& space, std::uint64_t address) const;

  MemorySource& source_;
  BreakpointTable& breakpoints_;
  std::size_t line_bytes_;
  MemoryCache cache_;
  MemoryCache tables_{4u << 20};                                         ///< page tables, by physical address
  std::map<std::pair<std::uint64_t, std::uint64_t>, Mapping> mappings_;  ///< by base and page
  std::optional<kd::PagingMode> paging_;
  std::uint16_t processor_ = 0;
  std::uint64_t program_counter_ = 0;
};

}  // namespace longwire
