#pragma once

#include <cstdint>
#include <string_view>

#include "client/symbols/symbol_table.h"

namespace longwire {

/// A field of a structure, found by name.
struct FieldLocation {
  std::uint64_t offset = 0;  ///< bytes from the start of the structure asked about
  std::uint64_t size = 0;    ///< bytes of the field, of the whole array for arrays
  TypeReference type;
  std::uint8_t bit_position = 0, bit_count = 0;  ///< bit_count 0: not a bit field
};

/// Resolves "Pcb.DirectoryTableBase" inside a structure, through base classes and nested structures, not
/// through pointers. kNotFound: "Field(s) X not found".
Result<FieldLocation> FindField(SymbolTable& symbols, const TypeReference& structure, std::string_view path);

}  // namespace longwire
