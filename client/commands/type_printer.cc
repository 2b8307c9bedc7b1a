#include "client/commands/type_printer.h"

#include <algorithm>

#include "client/commands/number_text.h"
#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxLines = 100'000;
constexpr unsigned kMaxDepth = 24;  // a type of a damaged file may contain itself
constexpr std::uint64_t kMaxElements = 4096;

/// The first part of "A.B.C" and the rest; "A." has the part A and an empty rest that asks for expansion.
struct FieldPath {
  std::string_view head;
  std::optional<std::string_view> rest;
};
FieldPath SplitPath(std::string_view path) {
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return {path, std::nullopt};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

bool MatchesField(std::string_view pattern, const std::string& name) {
  if (Wildcard::IsPattern(pattern)) return Wildcard(pattern).Matches(name);
  return EqualsIgnoringCase(pattern, name);
}

std::string Keyword(const TypeInfo& info) {
  return info.is_union ? "union" : info.c_name.starts_with("class ") ? "class" : "struct";
}

std::string VerboseText(const TypeInfo& info) {
  return Keyword(info) + " " + info.name + ", " + std::to_string(info.fields.size()) + " elements, 0x" +
         HexDigits(info.size) + " bytes";
}

}  // namespace

std::string TypePrinter::Indent(unsigned levels) const {
  return options_.no_indent ? "" : std::string(3 * levels, ' ');
}

Result<void> TypePrinter::Emit(const Level& level, const TypeField& field, const std::string& value) {
  if (session_.interrupt().raised()) return Cancelled();
  if (++lines_ > kMaxLines)
    return Error{Errc::kLimitExceeded, "dt shows at most 100000 lines; name the fields you want"};
  const std::uint64_t offset = level.shift + field.offset;
  const TypedPlace place{{level.type.module, field.type}, 0, field.bit_position, field.bit_count};
  Fields fields = {
      {"name", level.path + field.name}, {"offset", Hex{offset}}, {"type", TypeText(session_, place)}};
  if (level.view) fields.push_back({"value", value});
  std::string line = Indent(level.indent);
  if (!options_.no_offsets) line += "+0x" + HexDigits(offset, 3) + " ";
  if (options_.compact) {
    compact_ += (compact_.empty() ? "" : "  ") +
                line.substr(std::min(line.size(), Indent(level.indent).size())) + field.name + " : " + value;
    report_.Row("field", std::move(fields), "");
    return {};
  }
  report_.Row("field", std::move(fields), line + PadRight(field.name, 16) + " : " + value);
  return {};
}

Result<void> TypePrinter::ArrayElements(const Level& level, const TypeField& field, const TypeInfo& info) {
  Result<TypeInfo> element = session_.symbols().Describe({level.type.module, info.referent});
  if (!element || element->size == 0) return {};
  const std::uint64_t wanted =
      options_.array_elements.value_or(0) == 0 ? info.count : *options_.array_elements;
  const std::uint64_t count = std::min({info.count, wanted, kMaxElements});
  for (std::uint64_t i = 0; i < count; ++i) {
    if (session_.interrupt().raised()) return Cancelled();
    const TypedPlace place{{level.type.module, info.referent},
                           level.offset + field.offset + i * element->size};
    const std::string value =
        level.view ? ValueText(session_, *level.view, place) : TypeText(session_, place);
    std::string index = std::to_string(i);
    if (index.size() < 2) index.insert(0, "0");
    report_.Row("element",
                {{"name", level.path + field.name + "[" + std::to_string(i) + "]"}, {"value", value}},
                Indent(level.indent + 1) + " [" + index + "] " + value);
  }
  return {};
}

Result<void> TypePrinter::Expand(const Level& level, const TypeField& field,
                                 const std::vector<std::string>& inner, bool asked) {
  TypeReference type{level.type.module, field.type};
  Result<TypeInfo> info = session_.symbols().Describe(type);
  if (!info || field.bit_count != 0) return {};
  const bool deeper = level.depth < options_.depth;
  const bool follow = (asked || (deeper && level.pointers)) && info->kind == TypeKind::kPointer;
  MemoryView pointed;
  Level next = level;
  next.shift = 0;
  next.offset = level.offset + field.offset;
  if (follow) {
    type.id = info->referent;
    const auto value = level.view && info->size <= 8
                           ? level.view->Unsigned(next.offset, static_cast<unsigned>(info->size))
                           : std::nullopt;
    info = session_.symbols().Describe(type);
    // Without an address a list of types that point to one another has no end.
    if (!info || info->kind != TypeKind::kStruct || (level.view && value.value_or(0) == 0)) return {};
    if (!level.view && !asked) return {};
    if (level.view) {
      Result<MemoryView> read =
          ReadView(session_, *value, std::min<std::uint64_t>(info->size, kMaxViewBytes));
      if (!read) return read.error();
      pointed = std::move(*read);
      next.view = &pointed;
      next.offset = 0;
    }
  }
  if (info->kind != TypeKind::kStruct || !(asked || deeper || options_.blocks) || level.nesting >= kMaxDepth)
    return {};
  next.type = type;
  next.indent = level.indent + 1;
  next.depth = level.depth + 1;
  next.nesting = level.nesting + 1;
  next.path = level.path + field.name + ".";
  Result<bool> shown = ShowFields(next, inner);
  if (!shown) return shown.error();
  return {};
}

Result<void> TypePrinter::ShowField(const Level& level, const TypeField& field,
                                    const std::vector<std::string>& inner, bool asked) {
  const TypedPlace place{
      {level.type.module, field.type}, level.offset + field.offset, field.bit_position, field.bit_count};
  std::string value = level.view ? ValueText(session_, *level.view, place) : TypeText(session_, place);
  Result<TypeInfo> info = session_.symbols().Describe(place.type);
  if (options_.verbose && info && info->kind == TypeKind::kStruct) value = VerboseText(*info);
  if (Result<void> shown = Emit(level, field, value); !shown) return shown;
  if (options_.array_elements && info && info->kind == TypeKind::kArray) {
    if (Result<void> shown = ArrayElements(level, field, *info); !shown) return shown;
  }
  return Expand(level, field, inner, asked);
}

Result<bool> TypePrinter::ShowFields(const Level& level, const std::vector<std::string>& selection) {
  Result<TypeInfo> info = session_.symbols().Describe(level.type);
  if (!info) return info.error();
  if (level.view) PrefetchStrings(session_, *level.view, level.type, level.offset);
  bool any = false;
  for (const TypeField& field : info->fields) {
    if (field.is_static) continue;
    if (field.base_class) {
      // The fields of a base class stand in line with one's own.
      Level base = level;
      base.type.id = field.type;
      base.offset += field.offset;
      base.shift += field.offset;
      if (++base.nesting >= kMaxDepth) continue;
      Result<bool> shown = ShowFields(base, selection);
      if (!shown) return shown;
      any = any || *shown;
      continue;
    }
    bool chosen = selection.empty(), asked = false;
    std::vector<std::string> inner;
    for (const std::string& path : selection) {
      const FieldPath split = SplitPath(path);
      if (!MatchesField(split.head, field.name)) continue;
      chosen = true;
      if (!split.rest) continue;
      asked = true;
      if (!split.rest->empty()) inner.emplace_back(*split.rest);
    }
    if (!chosen) continue;
    any = true;
    if (Result<void> shown = ShowField(level, field, inner, asked); !shown) return shown.error();
  }
  return any;
}

Result<void> TypePrinter::Print(const TypeReference& type, std::optional<std::uint64_t> address) {
  Result<TypeInfo> info = session_.symbols().Describe(type);
  if (!info) return info.error();
  MemoryView view;
  if (address) {
    if (info->size > kMaxViewBytes)
      return Error{Errc::kLimitExceeded, "the type is larger than 4 MB; show a part of it"};
    if (!options_.physical) {
      const unsigned levels = 1 + (options_.blocks ? kMaxDepth : options_.depth);
      session_.PrepareStructure(*address, info->size, StringPlaces(session_, type, levels));
    }
    const AddressSpace space = options_.physical ? AddressSpace::Physical() : session_.address_space();
    Result<MemoryView> read = ReadView(session_, space, *address, info->size);
    if (!read) return read.error();
    view = std::move(*read);
  }
  return Print(type, *info, address ? &view : nullptr, address);
}

Result<void> TypePrinter::Print(const TypeReference& type, const MemoryView& view) {
  Result<TypeInfo> info = session_.symbols().Describe(type);
  if (!info) return info.error();
  return Print(type, *info, &view, std::nullopt);
}

Result<void> TypePrinter::Print(const TypeReference& type, const TypeInfo& info, const MemoryView* view,
                                std::optional<std::uint64_t> address) {
  Fields row = {{"name", info.name}, {"size", Hex{info.size}}};
  if (address) row.push_back({"address", Hex{*address}});
  report_.Row("type", std::move(row), "");
  if (info.kind == TypeKind::kEnum && view == nullptr) {
    if (options_.verbose)
      report_.Line("Enum " + info.name + ",  " + std::to_string(info.enumerators.size()) + " total enums");
    for (const TypeEnumerator& entry : info.enumerators) {
      const std::string value = "0n" + std::to_string(entry.value);
      report_.Row("enumerator", {{"name", entry.name}, {"value", entry.value}},
                  "   " + entry.name + " = " + value);
    }
    return {};
  }
  if (info.kind != TypeKind::kStruct) {
    const TypedPlace place{type, 0};
    const std::string text = view ? ValueText(session_, *view, place) : TypeText(session_, place);
    report_.Row("value", {{"type", info.name}, {"value", text}}, text);
    return {};
  }
  if (options_.verbose) report_.Line(VerboseText(info));
  Level level;
  level.type = type;
  level.view = view;
  Result<bool> shown = ShowFields(level, options_.fields);
  if (!shown) return shown.error();
  if (!compact_.empty()) report_.Line(compact_);
  compact_.clear();
  if (!*shown && !options_.fields.empty()) {
    std::string names;
    for (const std::string& name : options_.fields) names += (names.empty() ? "" : " ") + name;
    return Error{Errc::kNotFound, "Field(s) " + names + " not found"};
  }
  return {};
}

}  // namespace longwire
