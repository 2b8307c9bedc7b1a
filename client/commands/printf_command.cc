#include "client/commands/printf_command.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cinttypes>
#include <cstdio>

#include "client/commands/memory_form.h"
#include "client/commands/number_text.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxTextCharacters = 4096;
constexpr unsigned kMaxWidth = 1024;

/// One conversion between `%` and its letters.
struct Conversion {
  std::string flags;
  unsigned width = 0;
  int precision = -1;
  bool is_long = false;  ///< l, ll, I64: 64 bits; `d i u x X o` are 32 bits otherwise
  std::string letters;   ///< "d", "p", "ma", "msu", "y", "ly"
};

/// Tags of the target's markup (`/D`): what stands between < and >.
std::string WithoutMarkup(std::string_view text) {
  std::string plain;
  bool inside = false;
  for (const char c : text) {
    if (c == '<') inside = true;
    if (!inside) plain += c;
    if (c == '>') inside = false;
  }
  for (const auto& [name, sign] :
       {std::pair("&lt;", '<'), std::pair("&gt;", '>'), std::pair("&quot;", '"'), std::pair("&amp;", '&')}) {
    for (std::size_t at = plain.find(name); at != std::string::npos; at = plain.find(name, at + 1)) {
      plain.replace(at, std::string_view(name).size(), 1, sign);
    }
  }
  return plain;
}

std::string Pad(std::string text, const Conversion& conversion) {
  const bool left = conversion.flags.find('-') != std::string::npos;
  return left ? PadRight(std::move(text), conversion.width) : PadLeft(std::move(text), conversion.width);
}

class FormatPrinter {
 public:
  FormatPrinter(Session& session, Arguments& arguments) : session_(session), arguments_(arguments) {}

  Result<std::string> Print(std::string_view format) {
    std::string out;
    while (!format.empty()) {
      const char c = format.front();
      format.remove_prefix(1);
      if (c == '\\' && !format.empty()) {
        out += Escape(format.front());
        format.remove_prefix(1);
      } else if (c == '%' && format.starts_with("%")) {
        out += '%';
        format.remove_prefix(1);
      } else if (c == '%') {
        Result<Conversion> conversion = Parse(format);
        if (!conversion) return conversion.error();
        Result<std::uint64_t> value = NextArgument();
        if (!value) return value.error();
        Result<std::string> text = Convert(*conversion, *value);
        if (!text) return text.error();
        out += *text;
      } else {
        out += c;
      }
    }
    return out;
  }

  const std::string& memory_error() const { return memory_error_; }

 private:
  static char Escape(char c) { return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c; }

  static Error Unknown(std::string_view format) {
    return Error{Errc::kUsage, "^ Syntax error in '%" + std::string(format.substr(0, 4)) +
                                   "'; this conversion does not exist"};
  }

  static unsigned Digits(std::string_view& format) {
    unsigned number = 0;
    while (!format.empty() && std::isdigit(static_cast<unsigned char>(format.front()))) {
      number = std::min(kMaxWidth, number * 10 + static_cast<unsigned>(format.front() - '0'));
      format.remove_prefix(1);
    }
    return number;
  }

  static Result<Conversion> Parse(std::string_view& format) {
    Conversion conversion;
    const std::string_view whole = format;
    while (!format.empty() && std::string_view("-+ #0").find(format.front()) != std::string_view::npos) {
      if (conversion.flags.find(format.front()) == std::string::npos) conversion.flags += format.front();
      format.remove_prefix(1);
    }
    conversion.width = Digits(format);
    if (format.starts_with(".")) {
      format.remove_prefix(1);
      conversion.precision = static_cast<int>(Digits(format));
    }
    // Longer spellings first: %ly is a symbol, %ld a number.
    static constexpr std::array kLetters = {"msa", "msu", "ma", "mu", "ly", "y", "p", "N", "d", "i",
                                            "u",   "x",   "X",  "o",  "c",  "s", "e", "f", "g"};
    auto take_letters = [&] {
      for (const std::string_view letters : kLetters) {
        if (!format.starts_with(letters)) continue;
        conversion.letters = letters;
        format.remove_prefix(letters.size());
        return true;
      }
      return false;
    };
    if (take_letters()) return conversion;
    for (const std::string_view size : {"I64", "ll", "l", "h"}) {
      if (!format.starts_with(size)) continue;
      format.remove_prefix(size.size());
      conversion.is_long = size != "h";
      break;
    }
    if (!take_letters()) return Unknown(whole);
    return conversion;
  }

  Result<std::uint64_t> NextArgument() {
    arguments_.SkipBlanks();
    if (!arguments_.rest().empty() && arguments_.rest().front() == ',') arguments_.text().remove_prefix(1);
    return arguments_.Expression();
  }

  Result<std::string> Convert(const Conversion& conversion, std::uint64_t value) {
    const std::string& letters = conversion.letters;
    if (letters == "p") return Pad(session_.Address(value), conversion);
    if (letters == "N") return Pad(HexDigits(value, 16), conversion);
    if (letters == "c")
      return Pad(std::string(1, PrintableOrDot(static_cast<unsigned char>(value))), conversion);
    if (letters == "y" || letters == "ly") return Pad(SymbolText(value, letters == "ly"), conversion);
    if (letters == "ma" || letters == "mu" || letters == "s")
      return Pad(MemoryText(value, letters == "mu"), conversion);
    if (letters == "msa" || letters == "msu") return Pad(CountedText(value, letters == "msu"), conversion);
    char spelling[64];
    char text[kMaxWidth * 2 + 64];
    const std::string precision = conversion.precision >= 0 ? "." + std::to_string(conversion.precision) : "";
    const std::string head = "%" + conversion.flags + std::to_string(conversion.width) + precision;
    const std::string clean = conversion.width == 0 ? "%" + conversion.flags + precision : head;
    if (letters == "e" || letters == "f" || letters == "g") {
      const double number =
          conversion.is_long ? DoubleOfBits(value) : FloatOfBits(static_cast<std::uint32_t>(value));
      std::snprintf(spelling, sizeof spelling, "%s%s", clean.c_str(), letters.c_str());
      std::snprintf(text, sizeof text, spelling, number);
      return std::string(text);
    }
    const bool is_signed = letters == "d" || letters == "i";
    if (!conversion.is_long)
      value = is_signed ? static_cast<std::uint64_t>(static_cast<std::int32_t>(value)) : value & 0xffffffff;
    std::snprintf(spelling, sizeof spelling, "%sll%s", clean.c_str(), letters.c_str());
    std::snprintf(text, sizeof text, spelling, static_cast<unsigned long long>(value));
    return std::string(text);
  }

  std::string SymbolText(std::uint64_t address, bool with_line) {
    std::string name = session_.NameOf(address);
    if (name.empty()) name = session_.Address(address);
    if (!with_line) return name;
    if (Result<SourceLine> line = session_.symbols().FindLine(address)) {
      name += " [" + line->file + " @ " + std::to_string(line->line) + "]";
    }
    return name;
  }

  std::string MemoryText(std::uint64_t address, bool wide) {
    Result<std::string> text =
        ReadText(session_, session_.address_space(), address, wide, kMaxTextCharacters);
    if (text) return *text;
    memory_error_ = "Memory access error at '" + session_.Address(address) + "'";
    return "";
  }

  std::string CountedText(std::uint64_t address, bool wide) {
    const unsigned pointer = session_.pointer_size();
    Result<MemoryView> view = ReadView(session_, address, 2 * pointer);
    const auto length = view ? view->Unsigned(0, 2) : std::nullopt;
    const auto buffer = view ? view->Unsigned(pointer, pointer) : std::nullopt;
    std::vector<std::byte> bytes(length.value_or(0));
    if (length && buffer && (bytes.empty() || session_.ReadExact(*buffer, bytes))) return TextOf(bytes, wide);
    memory_error_ = "Memory access error at '" + session_.Address(address) + "'";
    return "";
  }

  Session& session_;
  Arguments& arguments_;
  std::string memory_error_;
};

}  // namespace

Result<CommandFlow> PrintFormatted(Session& session, Arguments& arguments, Report& report) {
  bool markup = false;
  while (true) {
    arguments.SkipBlanks();
    if (arguments.rest().empty() || arguments.rest().front() != '/') break;
    const std::string_view option = arguments.Word();
    if (option == "/D")
      markup = true;
    else if (!option.starts_with("/o"))
      return SyntaxError(".printf " + std::string(option));
  }
  const std::string_view rest = arguments.rest();
  std::size_t end = 1;
  while (end < rest.size() && rest[end] != '"') end += rest[end] == '\\' ? 2 : 1;
  if (rest.empty() || rest.front() != '"' || end >= rest.size()) {
    return Error{Errc::kUsage,
                 "^ Syntax error in '.printf " + std::string(rest) + "'; the format stands in quotes"};
  }
  const std::string_view format = rest.substr(1, end - 1);
  arguments.text().remove_prefix(end + 1);
  FormatPrinter printer(session, arguments);
  Result<std::string> text = printer.Print(format);
  if (!text) return text.error();
  if (Result<void> extra = arguments.ExpectEnd(); !extra) return extra.error();
  if (markup) *text = WithoutMarkup(*text);
  report.Row("text", {{"text", *text}}, "");
  report.Text(*text);
  if (!printer.memory_error().empty()) return Error{Errc::kUnreadable, printer.memory_error()};
  return CommandFlow::kPrompt;
}

}  // namespace longwire
