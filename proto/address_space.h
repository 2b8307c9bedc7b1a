#pragma once

#include <cstdint>

namespace longwire {

/// Which memory an address names.
struct AddressSpace {
  enum class Kind : std::uint8_t {
    kVirtual = 0,    ///< address space of the thread that reported the stop
    kPhysical = 1,   ///< physical memory, default caching
    kPageTable = 2,  ///< virtual, translated next to the target through `directory_base`
  };
  Kind kind = Kind::kVirtual;
  std::uint64_t directory_base = 0;  ///< CR3 / TTBR value for kPageTable, otherwise 0

  friend bool operator==(const AddressSpace&, const AddressSpace&) = default;
  friend auto operator<=>(const AddressSpace&, const AddressSpace&) = default;

  static AddressSpace Virtual() { return {}; }
  static AddressSpace Physical() { return {Kind::kPhysical, 0}; }
  static AddressSpace PageTable(std::uint64_t directory_base) { return {Kind::kPageTable, directory_base}; }
};

}  // namespace longwire
