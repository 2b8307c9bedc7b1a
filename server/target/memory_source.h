#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "proto/error.h"
#include "proto/kd/machine.h"
#include "proto/kd/timers.h"
#include "proto/kd/translation.h"
#include "server/target/task.h"

namespace longwire {

/// The raw memory of a stopped target, by whatever protocol reaches it: no cache, breakpoints as they stand.
/// `processor` says whose address space counts. Unreadable memory is no error; errors are those of the line,
/// or kUnsupported.
class MemorySource {
 public:
  struct Chunk {
    kd::Bytes data;
    bool ended = false;  ///< the byte behind `data` is unreadable
  };

  virtual ~MemorySource() = default;

  virtual kd::TimePoint now() const = 0;
  /// True when memory may begin in the middle of a page: a read that was widened is asked again as it was.
  virtual bool sparse() const { return false; }
  virtual kd::Machine machine() const = 0;
  /// The readable prefix of [address, address + count).
  virtual Task<Result<Chunk>> ReadVirtual(std::uint16_t processor, std::uint64_t address,
                                          std::uint32_t count) = 0;
  virtual Task<Result<Chunk>> ReadPhysical(std::uint16_t processor, std::uint64_t address,
                                           std::uint32_t count, bool uncached) = 0;
  /// Bytes written, from `address` on. The range lies in one page.
  virtual Task<Result<std::uint32_t>> Write(std::uint16_t processor, bool physical, std::uint64_t address,
                                            kd::Bytes data) = 0;
  virtual Task<Result<kd::PagingMode>> ReadPagingMode(std::uint16_t processor) = 0;

  /// Whether Search finds what is there; found out with `known`, bytes at a readable address.
  virtual Task<Result<bool>> Searches(std::uint64_t address, std::span<const std::byte> known) = 0;
  /// The first match in virtual memory, breakpoints not taken out; only where Searches() gave true.
  virtual Task<Result<std::optional<std::uint64_t>>> Search(std::uint64_t start, std::uint64_t length,
                                                            std::span<const std::byte> pattern) = 0;
};

}  // namespace longwire
