#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/commands/memory_view.h"
#include "client/engine/session.h"
#include "client/engine/structure_plan.h"
#include "client/symbols/symbol_table.h"

namespace longwire {

/// A typed piece of memory that was read: `offset` bytes into `view`.
struct TypedPlace {
  TypeReference type;
  std::uint64_t offset = 0;
  std::uint8_t bit_position = 0, bit_count = 0;  ///< bit_count 0: no bit field
};

/// The value as `dt` shows it (engine.md 3.2): "0x600", "0n-3", "0xffffc08b`dce94180 _KTHREAD", "2 (
/// DevStarted )",
/// "_UNICODE_STRING "text"", "????" for what was not read. May read what a string refers to.
std::string ValueText(Session& session, const MemoryView& view, const TypedPlace& place);
/// The type as `dt` shows it without an address: "Uint2B", "Ptr64 _KTHREAD", "[4] Uint4B", "Pos 0, 1 Bit".
std::string TypeText(Session& session, const TypedPlace& place);
/// Where a type leads to texts: itself, its fields when it is a structure and `levels` is 1, and the
/// structures in it when `levels` is more. At most kMaxStringPlaces.
std::vector<StringPlace> StringPlaces(Session& session, const TypeReference& type, unsigned levels);
/// Starts reading the strings that the fields of a structure refer to, all at once.
void PrefetchStrings(Session& session, const MemoryView& view, const TypeReference& structure,
                     std::uint64_t offset);
/// C spelling of a type with its keyword, "struct _IRP *".
std::string CTypeName(Session& session, const TypeReference& type);
/// Parameter list of a function type: "struct _SAMPLE_DEVICE *, unsigned long", "void"; empty if it has no
/// such type.
std::string ParameterNames(Session& session, const TypeReference& function);

}  // namespace longwire
