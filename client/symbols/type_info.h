#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/error.h"

namespace longwire {

/// Number of a type inside one symbol file; 0 is "no type".
using TypeId = std::uint32_t;

enum class TypeKind : std::uint8_t {
  kNone,
  kVoid,
  kInteger,
  kBool,
  kFloat,
  kPointer,
  kArray,
  kStruct,
  kEnum,
  kBitField,
  kFunction
};

struct TypeField {
  std::string name;
  std::uint64_t offset = 0;  ///< bytes from the start of the structure
  TypeId type = 0;
  std::uint8_t bit_position = 0, bit_count = 0;  ///< bit_count 0: not a bit field
  bool base_class = false, is_static = false;
};

struct TypeEnumerator {
  std::string name;
  std::int64_t value = 0;
};

/// One type, described without any debug-format vocabulary. Members that do not apply to `kind` are empty.
struct TypeInfo {
  TypeId id = 0;
  TypeKind kind = TypeKind::kNone;
  std::string name;    ///< structures, enumerations, base types in the debugger's spelling ("Uint4B")
  std::string c_name;  ///< C spelling of a base type ("unsigned long")
  std::uint64_t size = 0;
  bool is_signed = false, is_char = false, is_union = false;
  TypeId referent =
      0;  ///< kPointer: pointee; kArray: element; kEnum, kBitField: underlying; kFunction: result
  std::uint64_t count = 0;        ///< kArray
  std::vector<TypeField> fields;  ///< kStruct
  std::vector<TypeEnumerator> enumerators;
  std::vector<TypeId> parameters;  ///< kFunction
};

}  // namespace longwire
