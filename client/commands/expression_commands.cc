#include <cctype>
#include <cinttypes>
#include <cstdio>
#include <ctime>

#include "client/commands/command.h"
#include "client/commands/cpp_expression.h"
#include "client/commands/number_text.h"
#include "client/commands/printf_command.h"

namespace longwire {
namespace {

/// A value of a 32-bit target is shown with eight digits as long as it is one.
bool FitsPointer(const Session& session, std::uint64_t value) {
  if (session.pointer_size() == 8) return false;
  return value >> 32 == 0 || (value >> 31) == 0x1ffffffff;
}

std::string FullHex(const Session& session, std::uint64_t value) {
  return FitsPointer(session, value) ? HexDigits(value & 0xffffffff, 8) : FormatAddress(value);
}

Result<CommandFlow> Evaluate(Session& session, Arguments& arguments, Report& report) {
  if (arguments.AtEnd()) {
    report.Line("? EXPRESSION evaluates; .help lists the commands");
    return CommandFlow::kPrompt;
  }
  Result<std::uint64_t> value = arguments.Expression();
  if (!value) return value.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  session.last_expression = *value;
  char decimal[32];
  std::snprintf(decimal, sizeof decimal, "%" PRId64, static_cast<std::int64_t>(*value));
  report.Row("value", {{"value", Hex{*value}}, {"decimal", std::string(decimal)}},
             std::string("Evaluate expression: ") + decimal + " = " + FullHex(session, *value));
  return CommandFlow::kPrompt;
}

std::string Binary(std::uint64_t value, unsigned bits) {
  std::string text;
  for (unsigned bit = bits; bit-- > 0;) {
    text += (value >> bit & 1) != 0 ? '1' : '0';
    if (bit % 8 == 0 && bit != 0) text += ' ';
  }
  return text;
}

/// A 32-bit value as seconds since 1970, a larger one as FILETIME.
std::string TimeText(std::uint64_t value) {
  constexpr std::uint64_t kFileTimeOf1970 = 116'444'736'000'000'000;
  std::time_t seconds = static_cast<std::time_t>(value);
  if (value >> 32 != 0) {
    if (value < kFileTimeOf1970 || value >> 63 != 0) return "***** Invalid FILETIME";
    seconds = static_cast<std::time_t>((value - kFileTimeOf1970) / 10'000'000);
  }
  std::tm parts{};
  char text[64] = "***** Invalid";
  if (gmtime_r(&seconds, &parts)) std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
  return text;
}

Result<CommandFlow> Formats(Session& session, Arguments& arguments, Report& report) {
  Result<std::uint64_t> evaluated = arguments.Expression();
  if (!evaluated) return evaluated.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const std::uint64_t value = *evaluated;
  session.last_expression = value;
  const bool narrow = FitsPointer(session, value);
  const unsigned bits = narrow ? 32 : 64;
  const auto low = static_cast<std::uint32_t>(value), high = static_cast<std::uint32_t>(value >> 32);
  const std::uint64_t shown = narrow ? low : value;
  std::string chars;
  for (unsigned byte = bits / 8; byte-- > 0;)
    chars += PrintableOrDot(static_cast<unsigned char>(value >> (8 * byte)));
  char octal[40];
  std::snprintf(octal, sizeof octal, narrow ? "%011" PRIo64 : "%022" PRIo64, shown);
  const std::string decimal = narrow ? std::to_string(static_cast<std::int32_t>(low))
                                     : std::to_string(static_cast<std::int64_t>(value));
  std::string text =
      "Evaluate expression:\n  Hex:     " + FullHex(session, value) + "\n  Decimal: " + decimal +
      "\n  Decimal (unsigned) : " + std::to_string(shown) + "\n  Octal:   " + octal +
      "\n  Binary:  " + Binary(shown, bits) + "\n  Chars:   " + chars + "\n  Time:    " + TimeText(shown) +
      "\n  Float:   low " + GeneralFloat(FloatOfBits(low)) + " high " +
      GeneralFloat(FloatOfBits(narrow ? 0 : high)) + "\n  Double:  " + GeneralFloat(DoubleOfBits(shown));
  report.Row("formats",
             {{"value", Hex{value}},
              {"decimal", decimal},
              {"octal", std::string(octal)},
              {"binary", Binary(shown, bits)},
              {"chars", chars},
              {"time", TimeText(shown)}},
             text);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Radix(Session& session, Arguments& arguments, Report& report) {
  if (!arguments.AtEnd()) {
    const std::string word = arguments.TakeRest();
    if (word != "8" && word != "10" && word != "16") return SyntaxError("n " + word);
    session.set_radix(static_cast<unsigned>(std::stoul(word)));
  }
  report.Row("radix", {{"radix", static_cast<std::int64_t>(session.radix())}},
             "base is " + std::to_string(session.radix()));
  return CommandFlow::kPrompt;
}

}  // namespace

void AddExpressionCommands(CommandTable& table) {
  table.Add({{"?"}, "? EXPRESSION", "Evaluates an expression.", Evaluate, false, false});
  table.Add({{"??"},
             "?? EXPRESSION",
             "Shows a typed value: mod!variable, *(mod!Type*)ADDRESS, sizeof(Type), @$t0, a number.",
             EvaluateTyped});
  table.Add({{".formats"},
             ".formats EXPRESSION",
             "Shows a value in several formats; times are UTC.",
             Formats,
             false,
             false});
  table.Add({{"n"}, "n [8|10|16]", "Shows or sets the radix of numbers.", Radix, false, false});
  table.Add({{".printf"},
             ".printf [/D] \"FORMAT\" [, EXPRESSION...]",
             "Prints values.",
             PrintFormatted,
             false,
             false});
}

}  // namespace longwire
