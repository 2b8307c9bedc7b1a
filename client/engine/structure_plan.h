#pragma once

#include <cstdint>
#include <span>

#include "client/engine/image_plan.h"
#include "client/target/target.h"
#include "proto/address_space.h"

namespace longwire {

/// Reads memory where a structure is said to be, and what pointers in it that look like those of counted
/// strings (UNICODE_STRING, STRING) lead to, with one plan: its type may be known only after the answer, when
/// the images that came along in `unidentified` have told which symbols are theirs. Looks at pointer-aligned
/// places of up to kStructureBytes. Failures show up when the memory is asked for.
void ReadStructure(Target& target, AddressSpace space, std::uint64_t address, unsigned pointer_size,
                   std::span<const ImageRange> unidentified);

inline constexpr std::uint64_t kStructureBytes = 4096;

/// A place in a structure that leads to a text.
struct StringPlace {
  std::uint64_t offset = 0;
  unsigned character_size = 1;  ///< 1 or 2
  bool counted = false;         ///< UNICODE_STRING, STRING; otherwise a pointer to the first character
};
inline constexpr std::size_t kMaxStringPlaces = 64;
/// Characters of a text without a length that are shown.
inline constexpr std::size_t kTextCharacters = 128;
inline constexpr std::uint64_t kMaxPlannedBytes = 64 * 1024;

/// Reads a structure whose layout is known, up to kMaxPlannedBytes, and the texts that the first
/// kMaxStringPlaces of `strings` lead to, with one plan.
void ReadKnownStructure(Target& target, AddressSpace space, std::uint64_t address, std::uint64_t size,
                        unsigned pointer_size, std::span<const StringPlace> strings);

}  // namespace longwire
