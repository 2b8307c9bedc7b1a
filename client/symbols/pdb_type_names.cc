// How types are spelled: the debugger's names of engine.md 3.2 ("Uint4B", "Ptr64 _KTHREAD") and C names.
#include <array>

#include "client/symbols/pdb_types.h"

namespace longwire {
namespace {

constexpr unsigned kMaximumDepth = 24;  // a type of a damaged file may contain itself

constexpr std::array<SimpleType, 35> kSimpleTypes = {{
    {0x03, TypeKind::kVoid, 0, false, false, "Void", "void"},
    {0x70, TypeKind::kInteger, 1, true, true, "Char", "char"},
    {0x10, TypeKind::kInteger, 1, true, true, "Char", "signed char"},
    {0x20, TypeKind::kInteger, 1, false, true, "UChar", "unsigned char"},
    {0x68, TypeKind::kInteger, 1, true, true, "Char", "__int8"},
    {0x69, TypeKind::kInteger, 1, false, true, "UChar", "unsigned __int8"},
    {0x71, TypeKind::kInteger, 2, false, true, "Wchar", "wchar_t"},
    {0x7a, TypeKind::kInteger, 2, false, true, "Char16", "char16_t"},
    {0x7b, TypeKind::kInteger, 4, false, true, "Char32", "char32_t"},
    {0x7c, TypeKind::kInteger, 1, false, true, "Char8", "char8_t"},
    {0x11, TypeKind::kInteger, 2, true, false, "Int2B", "short"},
    {0x72, TypeKind::kInteger, 2, true, false, "Int2B", "__int16"},
    {0x21, TypeKind::kInteger, 2, false, false, "Uint2B", "unsigned short"},
    {0x73, TypeKind::kInteger, 2, false, false, "Uint2B", "unsigned __int16"},
    {0x74, TypeKind::kInteger, 4, true, false, "Int4B", "int"},
    {0x75, TypeKind::kInteger, 4, false, false, "Uint4B", "unsigned int"},
    {0x12, TypeKind::kInteger, 4, true, false, "Int4B", "long"},
    {0x22, TypeKind::kInteger, 4, false, false, "Uint4B", "unsigned long"},
    {0x08, TypeKind::kInteger, 4, true, false, "Int4B", "HRESULT"},
    {0x13, TypeKind::kInteger, 8, true, false, "Int8B", "__int64"},
    {0x76, TypeKind::kInteger, 8, true, false, "Int8B", "long long"},
    {0x23, TypeKind::kInteger, 8, false, false, "Uint8B", "unsigned __int64"},
    {0x77, TypeKind::kInteger, 8, false, false, "Uint8B", "unsigned long long"},
    {0x14, TypeKind::kInteger, 16, true, false, "Int16B", "__int128"},
    {0x78, TypeKind::kInteger, 16, true, false, "Int16B", "__int128"},
    {0x24, TypeKind::kInteger, 16, false, false, "Uint16B", "unsigned __int128"},
    {0x79, TypeKind::kInteger, 16, false, false, "Uint16B", "unsigned __int128"},
    {0x30, TypeKind::kBool, 1, false, false, "Bool", "bool"},
    {0x31, TypeKind::kBool, 2, false, false, "Bool", "__bool16"},
    {0x32, TypeKind::kBool, 4, false, false, "Bool", "__bool32"},
    {0x33, TypeKind::kBool, 8, false, false, "Bool", "__bool64"},
    {0x46, TypeKind::kFloat, 2, true, false, "Float2B", "_Float16"},
    {0x40, TypeKind::kFloat, 4, true, false, "Float4B", "float"},
    {0x41, TypeKind::kFloat, 8, true, false, "Float8B", "double"},
    {0x42, TypeKind::kFloat, 10, true, false, "Float10B", "long double"},
}};

// Compilers number the unnamed ones; people know one spelling.
std::string PlainName(std::string_view name) { return IsUnnamed(name) ? "<unnamed-tag>" : std::string(name); }

unsigned SimplePointerSize(TypeId id) {
  switch (id >> 8 & 0xf) {
    case 4:
    case 5: return 4;
    case 6: return 8;
    case 7: return 16;
    default: return 2;
  }
}

}  // namespace

bool IsUnnamed(std::string_view name) {
  const std::size_t colons = name.rfind("::");
  const std::string_view last = colons == std::string_view::npos ? name : name.substr(colons + 2);
  return last.starts_with("<unnamed-") || last.starts_with("<anonymous-") || last.starts_with("__unnamed");
}

const SimpleType* FindSimpleType(std::uint8_t kind) {
  for (const SimpleType& type : kSimpleTypes)
    if (type.kind == kind) return &type;
  return nullptr;
}

const SimpleType* FindSimpleType(std::string_view c_name) {
  for (const SimpleType& type : kSimpleTypes)
    if (c_name == type.c_name) return &type;
  return nullptr;
}

// Pointee and pointer size in bytes of a pointer type; 0 if it is none.
TypeId PdbTypes::PointeeOf(TypeId id, unsigned& size) const {
  if ((id & kPointerTo) != 0) {
    size = pointer_size_;
    return id & ~kPointerTo;
  }
  if (id < 0x1000) {
    if (id >> 8 == 0) return 0;
    size = SimplePointerSize(id);
    return id & 0xff;
  }
  const Record record = Get(id);
  if (record.kind != 0x1002) return 0;
  ByteCursor cursor(record.data);
  const TypeId pointee = cursor.U32();
  const std::uint32_t attributes = cursor.U32();
  size = attributes >> 13 & 0x3f;
  if (size == 0) size = (attributes & 0x1f) == 0x0c ? 8 : 4;
  return pointee;
}

std::uint64_t PdbTypes::SizeOf(TypeId id, unsigned depth) {
  if (depth > kMaximumDepth) return 0;
  unsigned pointer = 0;
  if (PointeeOf(id, pointer) != 0) return pointer;
  if (id < 0x1000) {
    const SimpleType* simple = FindSimpleType(static_cast<std::uint8_t>(id));
    return simple == nullptr ? 0 : simple->size;
  }
  id = Resolve(id);
  if (PointeeOf(id, pointer) != 0) return pointer;
  if (id < 0x1000) return SizeOf(id, depth + 1);
  const Record record = Get(id);
  const Tagged tagged = GetTagged(record);
  if (tagged.ok) return tagged.is_enum ? SizeOf(tagged.underlying, depth + 1) : tagged.size;
  ByteCursor cursor(record.data);
  if (record.kind == 0x1205) return SizeOf(cursor.U32(), depth + 1);
  if (record.kind != 0x1503) return 0;
  cursor.Skip(8);
  const std::uint64_t size = ReadNumericLeaf(cursor);
  return cursor.ok() ? size : 0;
}

std::string PdbTypes::DebuggerName(TypeId id, unsigned depth) {
  if (depth > kMaximumDepth) return "?";
  id = Resolve(id);
  unsigned pointer = 0;
  if (const TypeId pointee = PointeeOf(id, pointer); pointee != 0)
    return std::string("Ptr")
        .append(std::to_string(pointer * 8))
        .append(" ")
        .append(DebuggerName(pointee, depth + 1));
  if (id < 0x1000) {
    const SimpleType* simple = FindSimpleType(static_cast<std::uint8_t>(id));
    return simple == nullptr ? "" : simple->name;
  }
  const Record record = Get(id);
  if (const Tagged tagged = GetTagged(record); tagged.ok) return PlainName(tagged.name);
  ByteCursor cursor(record.data);
  switch (record.kind) {
    case 0x1205: return DebuggerName(cursor.U32(), depth + 1);
    case 0x1503: {
      const TypeId element = cursor.U32();
      const std::uint64_t element_size = SizeOf(element, depth + 1);
      const std::uint64_t count = element_size == 0 ? 0 : SizeOf(id, depth + 1) / element_size;
      return std::string("[")
          .append(std::to_string(count))
          .append("] ")
          .append(DebuggerName(element, depth + 1));
    }
    case 0x1008:
    case 0x1009: return std::string("    ").append(CName(cursor.U32(), depth + 1)).append(" ");
    default: return "";
  }
}

std::string PdbTypes::CName(TypeId id, unsigned depth) {
  if (depth > kMaximumDepth) return "?";
  id = Resolve(id);
  unsigned pointer = 0;
  if (const TypeId pointee = PointeeOf(id, pointer); pointee != 0) {
    std::string name = CName(pointee, depth + 1);
    if (!name.ends_with('*')) name += ' ';
    return name + "*";
  }
  if (id < 0x1000) {
    const SimpleType* simple = FindSimpleType(static_cast<std::uint8_t>(id));
    return simple == nullptr ? "" : simple->c_name;
  }
  const Record record = Get(id);
  if (const Tagged tagged = GetTagged(record); tagged.ok) {
    const char* keyword = tagged.is_enum    ? "enum "
                          : tagged.is_union ? "union "
                          : tagged.is_class ? "class "
                                            : "struct ";
    return keyword + PlainName(tagged.name);
  }
  ByteCursor cursor(record.data);
  switch (record.kind) {
    case 0x1205: return CName(cursor.U32(), depth + 1);
    case 0x1503: {
      const TypeId element = cursor.U32();
      const std::uint64_t element_size = SizeOf(element, depth + 1);
      const std::uint64_t count = element_size == 0 ? 0 : SizeOf(id, depth + 1) / element_size;
      return CName(element, depth + 1).append(" [").append(std::to_string(count)).append("]");
    }
    case 0x1008:
    case 0x1009: {
      // Parameters of parameters multiply: below the first level the list is left out.
      std::string text = CName(cursor.U32(), depth + 1) + " (";
      if (depth > 3) return text + "...)";
      const auto parameters = Parameters(id);
      if (parameters.empty()) text += "void";
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (i > 0) text += ", ";
        text += parameters[i] == 0 ? "..." : CName(parameters[i], depth + 1);
        if (text.size() > 4096) return text + ", ...)";
      }
      return text + ")";
    }
    default: return "";
  }
}

}  // namespace longwire
