#pragma once

#include <cstdint>
#include <optional>

#include "proto/kd/bytes.h"

namespace longwire::kd {

/// Page-table shapes of kd-protocol.md 5.8.
enum class PagingMode : std::uint8_t { kX64FourLevel, kX64FiveLevel, kX86Pae, kX86Plain, kArm64 };

/// Translates one virtual address through page tables in physical memory, without doing the reads itself:
/// while Next() is kRead, read `length` bytes of physical memory at `address` and Supply() them.
class Translation {
 public:
  enum class Outcome : std::uint8_t {
    kRead,          ///< physical memory at `address` is wanted
    kPresent,       ///< `address` is the physical address, `page_size` the size of the page it lies in
    kTransition,    ///< not valid but its frame is still in memory: `address` may be read
    kPrototype,     ///< shared page: paged out as far as the tables tell
    kPagedOut,      ///< in a paging file
    kNotMapped,     ///< entry is zero
    kNotCanonical,  ///< no such virtual address in this mode
    kUnreadable,    ///< a table could not be read; `address` is the entry's
  };
  struct State {
    Outcome outcome = Outcome::kNotMapped;
    std::uint64_t address = 0;
    std::uint32_t length = 0;  ///< kRead: 4 or 8
    std::uint64_t page_size =
        0;          ///< kPresent, kTransition; for not-mapped kinds: size of the hole that shares the entry
    int level = 0;  ///< 1 = page table ... 5
  };

  /// `base`: CR3, or for ARM64 the TTBR that maps this half of the address space.
  Translation(PagingMode mode, std::uint64_t base, std::uint64_t virtual_address);

  const State& Next() const { return state_; }
  /// Answers kRead with the bytes; fewer than `length` mean the entry is unreadable.
  void Supply(ByteView bytes);

  /// Whether a physical address came out.
  bool Resolved() const {
    return state_.outcome == Outcome::kPresent || state_.outcome == Outcome::kTransition;
  }

 private:
  void AskLevel(std::uint64_t table);
  void Finish(Outcome outcome, std::uint64_t frame);
  void FinishAbsent(std::uint64_t entry);
  void SupplyX86(std::uint64_t entry);
  void SupplyArm64(std::uint64_t entry);

  PagingMode mode_;
  std::uint64_t virtual_address_;
  int level_ = 0;
  State state_;
};

}  // namespace longwire::kd
