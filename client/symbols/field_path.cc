#include "client/symbols/field_path.h"

#include <string>

namespace longwire {
namespace {

constexpr int kMaxDepth = 16;  // of base classes; a damaged PDB may name itself as its base

Error NotFound(std::string_view path) {
  return Error{Errc::kNotFound, "Field(s) " + std::string(path) + " not found"};
}

Result<FieldLocation> FindMember(SymbolTable& symbols, const TypeReference& structure, std::string_view name,
                                 int depth) {
  Result<TypeInfo> type = symbols.Describe(structure);
  if (!type) return type.error();
  for (const TypeField& field : type->fields) {
    if (field.is_static || field.base_class || field.name != name) continue;
    FieldLocation found{field.offset, 0, {structure.module, field.type}, field.bit_position, field.bit_count};
    Result<TypeInfo> field_type = symbols.Describe(found.type);
    if (!field_type) return field_type.error();
    found.size = field_type->size;
    return found;
  }
  for (const TypeField& field : type->fields) {
    if (!field.base_class || depth >= kMaxDepth) continue;
    Result<FieldLocation> found = FindMember(symbols, {structure.module, field.type}, name, depth + 1);
    if (found) {
      found->offset += field.offset;
      return found;
    }
  }
  return NotFound(name);
}

}  // namespace

Result<FieldLocation> FindField(SymbolTable& symbols, const TypeReference& structure, std::string_view path) {
  FieldLocation location{0, 0, structure, 0, 0};
  std::string_view rest = path;
  do {
    const std::size_t dot = rest.find('.');
    Result<FieldLocation> member = FindMember(symbols, location.type, rest.substr(0, dot), 0);
    if (!member) return NotFound(path);
    member->offset += location.offset;
    location = *member;
    rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
  } while (!rest.empty());
  return location;
}

}  // namespace longwire
