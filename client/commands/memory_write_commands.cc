#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "client/commands/memory_view.h"
#include "client/commands/memory_write.h"
#include "client/commands/number_text.h"

namespace longwire {
namespace {

constexpr std::uint64_t kMaxWriteBytes = 16u << 20;

void Append(std::vector<std::byte>& bytes, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
}

enum class Items : std::uint8_t { kNumbers, kFloats };

struct EnterForm {
  const char* name;
  unsigned size;  ///< 0: pointer
  Items items = Items::kNumbers;
};
constexpr EnterForm kEnterForms[] = {{"eb", 1},
                                     {"ew", 2},
                                     {"ed", 4},
                                     {"eq", 8},
                                     {"ep", 0},
                                     {"ef", 4, Items::kFloats},
                                     {"eD", 8, Items::kFloats}};

Error AccessError(std::string_view name, const std::string& text) {
  return Error{Errc::kUnreadable, "Memory access error in '" + std::string(name) + text + "'"};
}

Result<void> Store(Session& session, AddressSpace space, std::uint64_t address,
                   std::span<const std::byte> bytes, std::string_view name, const std::string& text) {
  Result<std::size_t> written = session.target().Write(space, address, bytes);
  if (!written && written.error().code != Errc::kUnreadable) return written.error();
  if (!written || *written < bytes.size()) return AccessError(name, text);
  return {};
}

Result<void> TakeFloat(Arguments& arguments, unsigned size, std::vector<std::byte>& bytes) {
  const std::string word(arguments.Word());
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (word.empty() || end != word.c_str() + word.size()) return SyntaxError(word);
  if (size == 4)
    Append(bytes, std::bit_cast<std::uint32_t>(static_cast<float>(value)), 4);
  else
    Append(bytes, std::bit_cast<std::uint64_t>(value), 8);
  return {};
}

Result<void> TakeItems(Arguments& arguments, const EnterForm& form, unsigned size, const std::string& command,
                       std::vector<std::byte>& bytes) {
  while (!arguments.AtEnd()) {
    Result<void> item = form.items == Items::kFloats ? TakeFloat(arguments, size, bytes)
                                                     : TakeItem(arguments, size, bytes, command);
    if (!item) return item;
  }
  return {};
}

/// What stands there, as the prompt for a new value shows it: "fffff800`1a340000 8b 'x' ".
std::string ElementPrompt(Session& session, AddressSpace space, std::uint64_t address, unsigned size) {
  std::byte bytes[8] = {};
  std::uint64_t value = 0;
  std::string text = session.Address(address) + " ";
  Result<std::size_t> read = session.target().Read(space, address, std::span(bytes, size));
  if (!read || *read < size) return text + std::string(2 * size, '?') + " ";
  for (unsigned i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  text += HexDigits(value, 2 * size) + " ";
  if (size == 1 && value >= 0x20 && value < 0x7F) text += std::string("'") + static_cast<char>(value) + "' ";
  return text;
}

/// Asks for each element until an empty line; a line of blanks leaves the element as it is.
Result<CommandFlow> EnterOneByOne(Session& session, const EnterForm& form, AddressSpace space,
                                  std::uint64_t address) {
  if (!session.line_source()) {
    return Error{Errc::kUsage, "values are missing; write them behind the address, like `" +
                                   std::string(form.name) + " ADDRESS 1 2 3`"};
  }
  const unsigned size = form.size == 0 ? session.pointer_size() : form.size;
  for (;;) {
    const auto line = session.line_source()(ElementPrompt(session, space, address, size));
    if (!line || line->empty()) return CommandFlow::kPrompt;
    Arguments values(session, *line);
    std::vector<std::byte> bytes;
    if (Result<void> items = TakeItems(values, form, size, *line, bytes); !items) return items.error();
    if (bytes.empty()) {
      address += size;
      continue;
    }
    Result<void> stored = Store(session, space, address, bytes, form.name, " " + *line);
    if (!stored) return stored.error();
    address += bytes.size();
  }
}

Result<CommandFlow> Enter(Session& session, Arguments& arguments, const EnterForm& form, bool physical) {
  const std::string whole(arguments.rest());
  const unsigned size = form.size == 0 ? session.pointer_size() : form.size;
  physical = arguments.Option("/p") || physical;
  Result<std::uint64_t> address = arguments.Address();
  if (!address) return address.error();
  const AddressSpace space = physical ? AddressSpace::Physical() : session.address_space();
  if (arguments.AtEnd()) return EnterOneByOne(session, form, space, *address);
  std::vector<std::byte> bytes;
  if (Result<void> items = TakeItems(arguments, form, size, form.name + whole, bytes); !items)
    return items.error();
  if (Result<void> stored = Store(session, space, *address, bytes, form.name, whole); !stored)
    return stored.error();
  return CommandFlow::kPrompt;
}

/// `ea eu eza ezu`: one quoted text.
Result<CommandFlow> EnterText(Session& session, Arguments& arguments, std::string_view name, bool wide,
                              bool zero) {
  const std::string whole(arguments.rest());
  Result<std::uint64_t> address = arguments.Address();
  if (!address) return address.error();
  std::vector<std::byte> bytes;
  arguments.SkipBlanks();
  if (arguments.rest().empty() || arguments.rest().front() != '"') {
    return Error{Errc::kUsage,
                 "^ Syntax error in '" + std::string(name) + whole + "'; the text stands in quotes"};
  }
  if (Result<void> item = TakeItem(arguments, wide ? 2 : 1, bytes, std::string(name) + whole); !item)
    return item.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  if (zero) Append(bytes, 0, wide ? 2 : 1);
  Result<void> stored = Store(session, session.address_space(), *address, bytes, name, whole);
  if (!stored) return stored.error();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Fill(Session& session, Arguments& arguments, Report& report, bool physical) {
  const std::string whole(arguments.rest());
  Result<AddressRange> range = arguments.Range(1);
  if (!range) return range.error();
  std::vector<std::byte> pattern;
  while (!arguments.AtEnd()) {
    if (Result<void> item = TakeItem(arguments, 1, pattern, "f" + whole); !item) return item.error();
  }
  if (!range->has_count || pattern.empty()) return SyntaxError("f" + whole);
  if (range->count > kMaxWriteBytes) return Error{Errc::kLimitExceeded, "f fills at most 16 MB at once"};
  std::vector<std::byte> bytes(range->count);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = pattern[i % pattern.size()];
  const AddressSpace space = physical ? AddressSpace::Physical() : session.address_space();
  if (Result<void> stored = Store(session, space, range->address, bytes, "f", whole); !stored)
    return stored.error();
  report.Row("filled", {{"address", Hex{range->address}}, {"bytes", Hex{range->count}}},
             "Filled 0x" + HexDigits(range->count) + " bytes");
  return CommandFlow::kPrompt;
}

struct TwoRanges {
  std::uint64_t from = 0, to = 0, count = 0;
};

Result<TwoRanges> TakeTwoRanges(Arguments& arguments, std::string_view name) {
  const std::string whole(arguments.rest());
  Result<AddressRange> range = arguments.Range(1);
  if (!range) return range.error();
  if (!range->has_count) return Error{Errc::kUsage, "^ Range error in '" + std::string(name) + whole + "'"};
  if (range->count > kMaxWriteBytes)
    return Error{Errc::kLimitExceeded, std::string(name) + " takes at most 16 MB at once"};
  Result<std::uint64_t> to = arguments.Address();
  if (!to) return to.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  return TwoRanges{range->address, *to, range->count};
}

Result<CommandFlow> Move(Session& session, Arguments& arguments, Report&) {
  const std::string whole(arguments.rest());
  Result<TwoRanges> ranges = TakeTwoRanges(arguments, "m");
  if (!ranges) return ranges.error();
  // Read whole before the first byte is written: the ranges may overlap.
  std::vector<std::byte> bytes(ranges->count);
  if (bytes.empty()) return CommandFlow::kPrompt;
  if (Result<void> read = session.ReadExact(ranges->from, bytes); !read) return read.error();
  Result<void> stored = Store(session, session.address_space(), ranges->to, bytes, "m", whole);
  if (!stored) return stored.error();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Compare(Session& session, Arguments& arguments, Report& report) {
  Result<TwoRanges> ranges = TakeTwoRanges(arguments, "c");
  if (!ranges) return ranges.error();
  for (std::uint64_t done = 0; done < ranges->count;) {
    const std::uint64_t size = std::min<std::uint64_t>(ranges->count - done, 1u << 20);
    std::vector<std::byte> left(size), right(size);
    if (Result<void> read = session.ReadExact(ranges->from + done, left); !read) return read.error();
    if (Result<void> read = session.ReadExact(ranges->to + done, right); !read) return read.error();
    for (std::size_t i = 0; i < size; ++i) {
      if (left[i] == right[i]) continue;
      if (session.interrupt().raised()) return Cancelled();
      const std::uint64_t a = ranges->from + done + i, b = ranges->to + done + i;
      const std::string x = HexDigits(std::to_integer<unsigned>(left[i]), 2),
                        y = HexDigits(std::to_integer<unsigned>(right[i]), 2);
      report.Row("difference",
                 {{"address", Hex{a}}, {"value", x}, {"other_address", Hex{b}}, {"other_value", y}},
                 session.Address(a) + "  " + x + " - " + session.Address(b) + "  " + y);
    }
    done += size;
  }
  return CommandFlow::kPrompt;
}

}  // namespace

Result<void> TakeItem(Arguments& arguments, unsigned size, std::vector<std::byte>& bytes,
                      std::string_view command) {
  arguments.SkipBlanks();
  const std::string_view rest = arguments.rest();
  if (!rest.empty() && (rest.front() == '\'' || rest.front() == '"')) {
    const std::size_t end = rest.find(rest.front(), 1);
    if (end == std::string_view::npos) return SyntaxError(command);
    for (const char c : rest.substr(1, end - 1)) Append(bytes, static_cast<unsigned char>(c), size);
    arguments.text().remove_prefix(end + 1);
    return {};
  }
  Result<std::uint64_t> value = arguments.Expression();
  if (!value) return value.error();
  const std::uint64_t high = size < 8 ? *value >> (8 * size) : 0;
  const std::uint64_t all = size < 8 ? ~std::uint64_t{0} >> (8 * size) : 0;
  if (high != 0 && high != all)
    return Error{Errc::kUsage, "^ Overflow error in '" + std::string(command) + "'"};
  Append(bytes, *value, size);
  return {};
}

void AddMemoryWriteCommands(CommandTable& table) {
  for (const EnterForm& form : kEnterForms) {
    for (const bool physical : {false, true}) {
      const std::string_view plain = form.name;
      if (physical && plain != "eb" && plain != "ed") continue;
      const std::string name = (physical ? "!" : "") + std::string(plain);
      table.Add({{name},
                 name + " ADDRESS VALUE...",
                 physical ? "Writes physical memory." : "Writes memory.",
                 [form, physical](Session& session, Arguments& arguments, Report&) {
                   return Enter(session, arguments, form, physical);
                 }});
    }
  }
  for (const bool wide : {false, true}) {
    for (const bool zero : {false, true}) {
      const std::string name = std::string(zero ? "ez" : "e") + (wide ? "u" : "a");
      table.Add({{name},
                 name + " ADDRESS \"TEXT\"",
                 "Writes a text.",
                 [name, wide, zero](Session& session, Arguments& arguments, Report&) {
                   return EnterText(session, arguments, name, wide, zero);
                 }});
    }
  }
  for (const bool physical : {false, true}) {
    table.Add({{physical ? "fp" : "f"},
               std::string(physical ? "fp" : "f") + " RANGE PATTERN",
               "Fills memory with a pattern.",
               [physical](Session& session, Arguments& arguments, Report& report) {
                 return Fill(session, arguments, report, physical);
               }});
  }
  table.Add({{"m"}, "m RANGE ADDRESS", "Copies memory; the ranges may overlap.", Move});
  table.Add({{"c"}, "c RANGE ADDRESS", "Compares memory, and shows each difference.", Compare});
}

}  // namespace longwire
