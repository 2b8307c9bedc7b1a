#include "client/commands/memory_form.h"

#include <algorithm>
#include <set>

#include "client/commands/number_text.h"
#include "client/engine/module_reader.h"
#include "proto/utf16.h"

namespace longwire {
namespace {

constexpr std::size_t kPointeeCharacters = 64;

std::string BinaryDigits(std::uint64_t value, unsigned bits) {
  std::string text;
  for (unsigned bit = bits; bit-- > 0;) text += (value >> bit & 1) != 0 ? '1' : '0';
  return text;
}

}  // namespace

void PrepareNames(Session& session, const std::vector<std::uint64_t>& addresses) {
  (void)session.RefreshModules(false);
  std::set<Module*> modules;
  for (const std::uint64_t address : addresses) {
    if (Module* module = session.modules().FindByAddress(address)) modules.insert(module);
  }
  const std::vector<Module*> list(modules.begin(), modules.end());
  session.PrepareImages(list);
}

std::string TextOf(std::span<const std::byte> bytes, bool wide, std::size_t* characters) {
  const std::size_t unit = wide ? 2 : 1;
  std::size_t length = 0;
  while ((length + 1) * unit <= bytes.size() &&
         LoadLittle(bytes, length * unit, static_cast<unsigned>(unit)) != 0) {
    ++length;
  }
  if (characters) *characters = length;
  std::string text;
  if (!wide) {
    for (std::size_t i = 0; i < length; ++i) text += PrintableOrDot(std::to_integer<unsigned char>(bytes[i]));
    return text;
  }
  // UTF-8 of control characters is one byte below 20, 7f, or c2 80..9f; everything else may go to a terminal.
  const std::string utf8 = Utf8FromUtf16(bytes.first(length * 2));
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto c = static_cast<unsigned char>(utf8[i]);
    const bool c1 = c == 0xc2 && i + 1 < utf8.size() && static_cast<unsigned char>(utf8[i + 1]) < 0xa0;
    if (c1) ++i;
    text += c1 || c < 0x20 || c == 0x7f ? '.' : utf8[i];
  }
  return text;
}

Result<std::string> ReadText(Session& session, AddressSpace space, std::uint64_t address, bool wide,
                             std::size_t maximum, std::size_t* characters) {
  std::vector<std::byte> bytes(maximum * (wide ? 2 : 1));
  Result<std::size_t> read = session.target().Read(space, address, bytes);
  if (!read) return read.error();
  return TextOf(std::span(bytes).first(*read), wide, characters);
}

MemoryLines::MemoryLines(Session& session, MemoryForm form, bool own_columns)
    : session_(session), form_(form) {
  if (form_.size == 0) {
    form_.size = session.pointer_size();
    if (form_.kind == MemoryForm::Kind::kInteger && !own_columns) form_.columns = 16 / form_.size;
  }
  form_.columns = std::max(1u, form_.columns);
}

std::string MemoryLines::Element(const MemoryView& view, std::size_t offset) const {
  const std::optional<std::uint64_t> value = view.Unsigned(offset, form_.size);
  const unsigned width = form_.size * 2;
  if (form_.kind == MemoryForm::Kind::kBits)
    return value ? BinaryDigits(*value, form_.size * 8) : std::string(form_.size * 8, '?');
  if (form_.kind == MemoryForm::Kind::kFloat) {
    const unsigned columns = form_.size == 4 ? 16 : 22;
    if (!value) return PadLeft("????????", columns);
    const double number =
        form_.size == 4 ? FloatOfBits(static_cast<std::uint32_t>(*value)) : DoubleOfBits(*value);
    return PadLeft(GeneralFloat(number, form_.size == 4 ? 8 : 12), columns);
  }
  std::string digits = value ? HexDigits(*value, width) : std::string(width, '?');
  if (form_.size == 8) digits.insert(8, "`");
  return digits;
}

std::string MemoryLines::TextColumn(const MemoryView& view, std::size_t offset, std::size_t end) const {
  std::string text;
  for (; offset < end; ++offset) {
    const std::optional<std::uint64_t> byte = view.Unsigned(offset, 1);
    text += byte ? PrintableOrDot(static_cast<unsigned char>(*byte)) : '?';
  }
  return text;
}

std::string MemoryLines::Line(const MemoryView& view, std::size_t offset,
                              std::vector<std::string>& values) const {
  std::string line = session_.Address(view.address() + offset) + " ";
  const std::size_t first = offset;
  std::size_t width = 0;  // of the elements of a full line, for the text column
  for (unsigned column = 0; column < form_.columns; ++column) {
    const bool dash = form_.kind == MemoryForm::Kind::kInteger && form_.size == 1 && column == 8;
    const bool present = offset + form_.size <= view.size();
    if (present) {
      values.push_back(Element(view, offset));
      line += (dash ? "-" : " ") + values.back();
      offset += form_.size;
    }
    width += 1 + (values.empty() ? 0 : values.back().size());
  }
  if (form_.kind == MemoryForm::Kind::kBits) {
    line += " ";
    for (std::size_t i = first; i < offset; ++i) {
      const std::optional<std::uint64_t> byte = view.Unsigned(i, 1);
      line += " " + (byte ? HexDigits(*byte, 2) : std::string("??"));
    }
  }
  if (form_.text)
    line = PadRight(std::move(line), session_.Address(0).size() + 1 + width) + "  " +
           TextColumn(view, first, offset);
  return line;
}

Result<void> MemoryLines::Write(const MemoryView& view, Report& report) {
  if (form_.kind == MemoryForm::Kind::kSymbols) return WriteSymbols(view, report);
  if (form_.kind == MemoryForm::Kind::kPointers) return WritePointers(view, report);
  if (form_.kind == MemoryForm::Kind::kBits) {
    const std::string indent(session_.Address(0).size() + 2, ' ');
    std::string digits = indent, rule = indent;
    for (unsigned column = 0; column < form_.columns; ++column) {
      for (unsigned bit = form_.size * 8; bit-- > 0;) digits += static_cast<char>('0' + bit % 10);
      rule += std::string(form_.size * 8, '-') + " ";
      digits += " ";
    }
    digits.pop_back();
    rule.pop_back();
    report.Line(digits);
    report.Line(rule);
  }
  const std::size_t step = std::size_t{form_.columns} * form_.size;
  for (std::size_t offset = 0; offset + form_.size <= view.size(); offset += step) {
    if (session_.interrupt().raised()) return Cancelled();
    std::vector<std::string> values;
    const std::string line = Line(view, offset, values);
    Fields fields = {{"address", Hex{view.address() + offset}}, {"values", std::move(values)}};
    if (form_.text)
      fields.push_back({"text", TextColumn(view, offset, std::min(offset + step, view.size()))});
    report.Row("memory", std::move(fields), line);
  }
  return {};
}

Result<void> MemoryLines::WriteSymbols(const MemoryView& view, Report& report) {
  std::vector<std::uint64_t> values;
  for (std::size_t offset = 0; offset + form_.size <= view.size(); offset += form_.size) {
    if (const auto value = view.Unsigned(offset, form_.size)) values.push_back(*value);
  }
  PrepareNames(session_, values);
  for (std::size_t offset = 0; offset + form_.size <= view.size(); offset += form_.size) {
    if (session_.interrupt().raised()) return Cancelled();
    const std::uint64_t address = view.address() + offset;
    const std::string element = Element(view, offset);
    std::string line = session_.Address(address) + "  " + element;
    const std::optional<std::uint64_t> value = view.Unsigned(offset, form_.size);
    const std::string name = value ? session_.NameOf(*value) : std::string();
    if (!name.empty()) line += " " + name;
    Fields fields = {{"address", Hex{address}}};
    if (value) fields.push_back({"value", Hex{*value}});
    if (!name.empty()) fields.push_back({"symbol", name});
    report.Row("memory", std::move(fields), line);
  }
  return {};
}

Result<void> MemoryLines::WritePointers(const MemoryView& view, Report& report) {
  const unsigned pointer = session_.pointer_size();
  const std::uint64_t wanted =
      form_.target == 'p' ? pointer : kPointeeCharacters * (form_.target == 'u' ? 2 : 1);
  std::vector<rpc::ReadRange> ranges;
  for (std::size_t offset = 0; offset + form_.size <= view.size(); offset += form_.size) {
    const auto value = view.Unsigned(offset, form_.size);
    if (value && *value != 0) ranges.push_back({*value, wanted});
  }
  if (!ranges.empty()) session_.target().Prefetch(session_.address_space(), ranges);
  if (form_.target == 'p') {
    std::vector<std::uint64_t> pointees;
    for (const rpc::ReadRange& range : ranges) {
      if (Result<std::uint64_t> pointee = session_.ReadUnsigned(range.address, pointer))
        pointees.push_back(*pointee);
    }
    PrepareNames(session_, pointees);
  }
  for (std::size_t offset = 0; offset + form_.size <= view.size(); offset += form_.size) {
    if (session_.interrupt().raised()) return Cancelled();
    const std::uint64_t address = view.address() + offset;
    std::string line = session_.Address(address) + "  " + Element(view, offset);
    Fields fields = {{"address", Hex{address}}};
    if (const auto value = view.Unsigned(offset, form_.size)) {
      fields.push_back({"value", Hex{*value}});
      if (form_.target == 'p') {
        const Result<std::uint64_t> pointee =
            *value ? session_.ReadUnsigned(*value, pointer) : Result<std::uint64_t>(Error{Errc::kUnreadable});
        std::string text(pointer * 2, '?');
        if (pointer == 8) text.insert(8, "`");
        if (pointee) {
          text = session_.Address(*pointee);
          fields.push_back({"target", Hex{*pointee}});
          if (const std::string name = session_.NameOf(*pointee); !name.empty()) {
            text += " " + name;
            fields.push_back({"symbol", name});
          }
        }
        line += " " + text;
      } else if (*value != 0) {
        Result<std::string> text =
            ReadText(session_, session_.address_space(), *value, form_.target == 'u', kPointeeCharacters);
        line += text ? " \"" + *text + "\"" : std::string(" \"????????\"");
        if (text) fields.push_back({"text", *text});
      }
    }
    report.Row("memory", std::move(fields), line);
  }
  return {};
}

}  // namespace longwire
