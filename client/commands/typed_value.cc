#include "client/commands/typed_value.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "client/commands/memory_form.h"
#include "client/commands/number_text.h"
#include "client/engine/structure_plan.h"

namespace longwire {
namespace {

constexpr const char* kUnread = "????";

std::int64_t SignExtend(std::uint64_t value, std::uint64_t size) {
  if (size >= 8 || size == 0) return static_cast<std::int64_t>(value);
  const unsigned shift = static_cast<unsigned>(64 - 8 * size);
  return static_cast<std::int64_t>(value << shift) >> shift;
}

bool IsCountedString(const TypeInfo& info) {
  return info.kind == TypeKind::kStruct && (info.name == "_UNICODE_STRING" || info.name == "_STRING");
}

bool IsWide(const TypeInfo& counted_string) { return counted_string.name == "_UNICODE_STRING"; }

bool IsCharacter(const TypeInfo& info) {
  return info.kind == TypeKind::kInteger && info.is_char && info.size <= 2;
}

std::string BitText(std::uint64_t value, unsigned count) {
  std::string text = "0y";
  for (unsigned bit = count; bit-- > 0;) text += (value >> bit & 1) != 0 ? '1' : '0';
  // Long ones cannot be read at a glance.
  if (count > 4) text += " (" + DataHex(value) + ")";
  return text;
}

std::string EnumText(const TypeInfo& info, std::uint64_t value) {
  const std::int64_t number =
      info.is_signed ? SignExtend(value, info.size) : static_cast<std::int64_t>(value);
  const std::uint64_t mask =
      info.size >= 8 || info.size == 0 ? ~std::uint64_t{0} : ~std::uint64_t{0} >> (64 - 8 * info.size);
  for (const TypeEnumerator& entry : info.enumerators) {
    if ((static_cast<std::uint64_t>(entry.value) & mask) != (value & mask)) continue;
    return std::to_string(number) + " ( " + entry.name + " )";
  }
  return std::to_string(number) + " (No matching name)";
}

std::string IntegerText(const TypeInfo& info, std::uint64_t value) {
  if (IsCharacter(info)) {
    const bool printable = value >= 0x20 && value < 0x7f;
    return DataHex(value) + " '" + (printable ? std::string(1, static_cast<char>(value)) : "") + "'";
  }
  if (info.is_signed) return "0n" + std::to_string(SignExtend(value, info.size));
  return DataHex(value);
}

/// `counted`: the length is known, so that the text is not cut.
std::string QuotedText(Session& session, std::uint64_t address, bool wide, std::size_t maximum,
                       bool counted) {
  std::size_t characters = 0;
  Result<std::string> text = ReadText(session, session.address_space(), address, wide, maximum, &characters);
  if (!text) return "\"--- memory read error at address " + DataHex(address) + " ---\"";
  return "\"" + *text + "\"" + (!counted && characters >= maximum ? "..." : "");
}

std::string PointerText(Session& session, const TypeReference& type, const TypeInfo& info,
                        std::uint64_t value) {
  if (value == 0) return "(null) ";
  std::string text = DataHex(value);
  Result<TypeInfo> referent = session.symbols().Describe({type.module, info.referent});
  if (!referent) return text;
  if (referent->kind == TypeKind::kFunction) {
    const std::string name = session.NameOf(value);
    if (name.empty()) return text + " " + referent->name;
    return text + " " + referent->name + " " + name + (name.find('+') == std::string::npos ? "+0" : "");
  }
  if (IsCharacter(*referent))
    return text + "  " + QuotedText(session, value, referent->size == 2, kTextCharacters, false);
  return text + " " + referent->name;
}

struct CountedString {
  std::uint64_t buffer = 0, bytes = 0;
  bool wide = false;
};

std::optional<CountedString> CountedAt(Session& session, const MemoryView& view, const TypeInfo& info,
                                       std::uint64_t offset) {
  const unsigned pointer = session.pointer_size();
  const auto length = view.Unsigned(offset, 2), buffer = view.Unsigned(offset + pointer, pointer);
  if (!length || !buffer) return std::nullopt;
  return CountedString{*buffer, *length, IsWide(info)};
}

std::string StructText(Session& session, const MemoryView& view, const TypeInfo& info, std::uint64_t offset) {
  const unsigned pointer = session.pointer_size();
  if (info.name == "_LIST_ENTRY") {
    const auto next = view.Unsigned(offset, pointer), previous = view.Unsigned(offset + pointer, pointer);
    if (!next || !previous) return info.name;
    return info.name + " [ " + DataHex(*next) + " - " + DataHex(*previous) + " ]";
  }
  if (IsCountedString(info)) {
    const std::optional<CountedString> counted = CountedAt(session, view, info, offset);
    if (!counted) return info.name;
    if (counted->bytes == 0) return info.name + " \"\"";
    return info.name + " " +
           QuotedText(session, counted->buffer, counted->wide, counted->bytes / (counted->wide ? 2 : 1),
                      true);
  }
  if (info.name == "_LARGE_INTEGER" || info.name == "_ULARGE_INTEGER") {
    const auto value = view.Unsigned(offset, 8);
    return info.name + " " + (value ? DataHex(*value) : std::string(kUnread));
  }
  if (info.name == "_GUID" && view.Known(offset, 16)) {
    std::string text = info.name + " {" + HexDigits(*view.Unsigned(offset, 4), 8) + "-" +
                       HexDigits(*view.Unsigned(offset + 4, 2), 4) + "-" +
                       HexDigits(*view.Unsigned(offset + 6, 2), 4) + "-";
    for (unsigned i = 8; i < 16; ++i)
      text += (i == 10 ? "-" : "") + HexDigits(*view.Unsigned(offset + i, 1), 2);
    return text + "}";
  }
  return info.name;
}

std::string ArrayText(Session& session, const MemoryView& view, const TypedPlace& place,
                      const TypeInfo& info) {
  const std::string count = "[" + std::to_string(info.count) + "] ";
  Result<TypeInfo> element = session.symbols().Describe({place.type.module, info.referent});
  if (!element || info.count == 0) return info.name;
  if (IsCharacter(*element) && place.offset <= view.size()) {
    const std::size_t size = std::min<std::uint64_t>({info.size, view.size() - place.offset, 4096});
    if (!view.Known(place.offset, size)) return count + " " + kUnread;
    return count + " \"" + TextOf(std::span(view.bytes()).subspan(place.offset, size), element->size == 2) +
           "\"";
  }
  if (element->kind == TypeKind::kStruct || element->kind == TypeKind::kArray) return info.name;
  return count + ValueText(session, view, {{place.type.module, info.referent}, place.offset});
}

std::string FloatText(const TypeInfo& info, std::uint64_t value) {
  if (info.size == 4) return GeneralFloat(FloatOfBits(static_cast<std::uint32_t>(value)), 9);
  return GeneralFloat(DoubleOfBits(value), 17);
}

}  // namespace

std::string ValueText(Session& session, const MemoryView& view, const TypedPlace& place) {
  Result<TypeInfo> info = session.symbols().Describe(place.type);
  if (!info) return kUnread;
  if (info->kind == TypeKind::kStruct) return StructText(session, view, *info, place.offset);
  if (info->kind == TypeKind::kArray) return ArrayText(session, view, place, *info);
  if (info->kind == TypeKind::kFunction || info->kind == TypeKind::kVoid || info->kind == TypeKind::kNone)
    return info->name;
  if (info->size == 0 || info->size > 8) return view.Known(place.offset, info->size) ? info->name : kUnread;
  std::optional<std::uint64_t> value = view.Unsigned(place.offset, static_cast<unsigned>(info->size));
  if (!value) return kUnread;
  if (place.bit_count != 0) {
    const unsigned count = std::min<unsigned>(place.bit_count, 64);
    const std::uint64_t mask = count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    const std::uint64_t bits = place.bit_position < 64 ? *value >> place.bit_position & mask : 0;
    if (info->kind == TypeKind::kEnum) return EnumText(*info, bits);
    return BitText(bits, count);
  }
  switch (info->kind) {
    case TypeKind::kPointer: return PointerText(session, place.type, *info, *value);
    case TypeKind::kEnum: return EnumText(*info, *value);
    case TypeKind::kFloat: return FloatText(*info, *value);
    case TypeKind::kBool: return *value == 0 ? "0" : *value == 1 ? "1" : DataHex(*value);
    default: return IntegerText(*info, *value);
  }
}

std::string TypeText(Session& session, const TypedPlace& place) {
  if (place.bit_count != 0) {
    return "Pos " + std::to_string(place.bit_position) + ", " + std::to_string(place.bit_count) + " Bit" +
           (place.bit_count == 1 ? "" : "s");
  }
  Result<TypeInfo> info = session.symbols().Describe(place.type);
  return info ? info->name : "";
}

namespace {

constexpr unsigned kMaxPlaceNesting = 8;  // a type of a damaged file may contain itself

/// The places of a type itself, of its fields if it is a structure, and of base classes and so many levels of
/// structures in it.
void AddStringPlaces(Session& session, const TypeReference& type, std::uint64_t offset, unsigned levels,
                     unsigned nesting, std::vector<StringPlace>& places) {
  Result<TypeInfo> info = session.symbols().Describe(type);
  if (!info || nesting > kMaxPlaceNesting || places.size() >= kMaxStringPlaces) return;
  if (info->kind == TypeKind::kPointer && info->size <= 8) {
    Result<TypeInfo> referent = session.symbols().Describe({type.module, info->referent});
    if (referent && IsCharacter(*referent))
      places.push_back({offset, static_cast<unsigned>(referent->size), false});
    return;
  }
  if (info->kind != TypeKind::kStruct) return;
  if (IsCountedString(*info)) places.push_back({offset, IsWide(*info) ? 2u : 1u, true});
  if (levels == 0) return;
  for (const TypeField& field : info->fields) {
    if (field.is_static || field.bit_count != 0) continue;
    AddStringPlaces(session, {type.module, field.type}, offset + field.offset,
                    field.base_class ? levels : levels - 1, nesting + 1, places);
  }
}

}  // namespace

std::vector<StringPlace> StringPlaces(Session& session, const TypeReference& type, unsigned levels) {
  std::vector<StringPlace> places;
  AddStringPlaces(session, type, 0, levels, 0, places);
  return places;
}

void PrefetchStrings(Session& session, const MemoryView& view, const TypeReference& structure,
                     std::uint64_t offset) {
  std::vector<rpc::ReadRange> ranges;
  const unsigned pointer = session.pointer_size();
  for (const StringPlace& place : StringPlaces(session, structure, 1)) {
    const std::uint64_t at = offset + place.offset;
    const auto value = view.Unsigned(at + (place.counted ? pointer : 0), pointer);
    const auto length = place.counted ? view.Unsigned(at, 2) : kTextCharacters * place.character_size;
    if (value && *value != 0 && length && *length != 0) ranges.push_back({*value, *length});
  }
  if (!ranges.empty()) session.target().Prefetch(session.address_space(), ranges);
}

std::string CTypeName(Session& session, const TypeReference& type) {
  Result<TypeInfo> info = session.symbols().Describe(type);
  return info ? info->c_name : "";
}

std::string ParameterNames(Session& session, const TypeReference& function) {
  if (function.id == 0) return "";
  Result<TypeInfo> info = session.symbols().Describe(function);
  if (!info || info->kind != TypeKind::kFunction) return "";
  if (info->parameters.empty()) return "void";
  std::string text;
  for (const TypeId parameter : info->parameters) {
    if (!text.empty()) text += ", ";
    text += parameter == 0 ? "..." : CTypeName(session, {function.module, parameter});
  }
  return text;
}

}  // namespace longwire
