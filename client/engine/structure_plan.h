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

}  // namespace longwire
