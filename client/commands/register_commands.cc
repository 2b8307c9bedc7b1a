#include <algorithm>
#include <cctype>
#include <memory>

#include "client/commands/command.h"
#include "client/commands/number_text.h"
#include "client/commands/register_text.h"
#include "client/engine/location_text.h"

namespace longwire {
namespace {

/// `r` without names: the block the mask asks for and where the processor is.
Result<CommandFlow> ShowAll(Session& session, std::uint32_t mask, Report& report) {
  Result<const RegisterSet*> registers = session.Registers();
  if (!registers) return registers.error();
  if (session.has_explicit_scope() && session.frame_number() == 0) report.Line("Last set context:");
  return ShowRegisters(session, **registers, mask, report);
}

bool IsWordEnd(char c) { return c == ' ' || c == '\t' || c == ',' || c == '=' || c == ';'; }

std::string_view TakeName(Arguments& arguments) {
  arguments.SkipBlanks();
  std::string_view& text = arguments.text();
  if (text.starts_with("@")) text.remove_prefix(1);
  std::size_t length = 0;
  while (length < text.size() && !IsWordEnd(text[length])) ++length;
  const std::string_view name = text.substr(0, length);
  text.remove_prefix(length);
  return name;
}

Error BadRegister(const std::string& whole) {
  return Error{Errc::kUsage, "^ Bad register error in 'r" + whole + "'"};
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

Result<void> Assign(Session& session, std::string_view typed, std::uint64_t value, const std::string& whole) {
  const std::string name = Lower(typed);
  if (name.starts_with("$t")) {
    unsigned number = 0;
    const std::string digits = name.substr(2);
    const bool valid =
        !digits.empty() && digits.size() <= 2 &&
        std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); });
    if (valid) number = static_cast<unsigned>(std::stoul(digits));
    if (!valid || number >= session.user_registers.size()) return BadRegister(whole);
    session.user_registers[number] = value;
    return {};
  }
  if (name == "$ip") return session.SetRegister(ProgramCounterName(session.architecture()), value);
  if (name.starts_with("$")) return BadRegister(whole);
  if (!session.halted()) return Error{Errc::kTargetRunning, "the target is running; break in first (Ctrl-C)"};
  Result<void> set = session.SetRegister(name, value);
  if (!set && set.error().code == Errc::kUsage && !session.has_explicit_scope()) return BadRegister(whole);
  return set;
}

Result<void> ShowOne(Session& session, std::string_view typed, const std::string& whole, Report& report) {
  const std::size_t colon = typed.find(':');
  const std::string name = Lower(typed.substr(0, colon));
  const std::string_view suffix =
      colon == std::string_view::npos ? std::string_view() : typed.substr(colon + 1);
  if (session.halted() && !name.starts_with("$")) {
    Result<const RegisterSet*> registers = session.Registers();
    if (!registers) return registers.error();
    if (const auto vector = (*registers)->GetVector(name)) {
      Result<std::string> text = FormatVector(*vector, suffix);
      if (!text) return text.error();
      report.Row("register", {{"name", name}, {"value", *text}}, name + "=" + *text);
      return {};
    }
  }
  // `$t0` and its like are known to the evaluator; a misspelled name there is an unknown register.
  Result<std::uint64_t> value = session.Evaluate("@" + name);
  if (!value)
    return value.error().code == Errc::kUsage || value.error().code == Errc::kNotFound ? BadRegister(whole)
                                                                                       : value.error();
  if (!name.starts_with("$")) *value = session.Plain(*value);
  const std::string digits = HexDigits(*value, RegisterDigits(session.architecture(), name));
  report.Row("register", {{"name", name}, {"value", Hex{*value}}}, name + "=" + digits);
  return {};
}

/// `r.`: the registers the current instruction names, and its memory operand.
Result<CommandFlow> ShowOperands(Session& session, Report& report) {
  Result<const RegisterSet*> registers = session.Registers();
  if (!registers) return registers.error();
  Result<Instruction> instruction = InstructionAt(session, (*registers)->program_counter());
  if (!instruction) return instruction.error();
  std::string text, word;
  std::vector<std::string> seen;
  for (const char c : instruction->operands + ",") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
      continue;
    }
    if (std::optional<std::uint64_t> value = word.empty() ? std::nullopt : (*registers)->Get(word);
        value && std::find(seen.begin(), seen.end(), word) == seen.end()) {
      seen.push_back(word);
      const std::string digits = HexDigits(*value, RegisterDigits(session.architecture(), word));
      report.Row("register", {{"name", word}, {"value", Hex{*value}}}, "");
      text += (text.empty() ? "" : "  ") + word + "=" + digits;
    }
    word.clear();
  }
  const std::string operand = FormatOperandValue(session, **registers, *instruction);
  if (!operand.empty()) text += (text.empty() ? "" : " ") + operand;
  if (!text.empty()) report.Line(text);
  return CommandFlow::kPrompt;
}

/// `r rax=` shows the register and asks; an empty answer changes nothing.
Result<std::uint64_t> AskForValue(Session& session, std::string_view name, const std::string& whole,
                                  Report& report) {
  const Error missing{Errc::kUsage, "^ Numeric expression missing from 'r" + whole + "'"};
  if (!session.line_source()) return missing;
  if (Result<void> shown = ShowOne(session, name, whole, report); !shown) return shown.error();
  const auto line = session.line_source()("; new value: ");
  if (!line) return missing;
  Result<std::uint64_t> old = session.Evaluate("@" + std::string(name));
  Arguments answer(session, *line);
  if (answer.AtEnd()) return old;
  Result<std::uint64_t> value = answer.Expression();
  if (!value) return value;
  if (Result<void> end = answer.ExpectEnd(); !end) return end.error();
  return value;
}

/// `r rax,rbx`, `r rax=5, $t0 = 7`, `r.`.
Result<CommandFlow> Registers(Session& session, Arguments& arguments, Report& report, std::uint32_t mask) {
  const std::string whole(arguments.rest());
  if (whole.starts_with("?"))
    return Error{Errc::kUnsupported, "typed values (r?) are not supported; use r $t0 = EXPRESSION"};
  if (whole.starts_with(".")) {
    arguments.text().remove_prefix(1);
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    return ShowOperands(session, report);
  }
  if (arguments.AtEnd()) return ShowAll(session, mask, report);
  while (!arguments.AtEnd()) {
    if (arguments.rest().front() == ',') {
      arguments.text().remove_prefix(1);
      continue;
    }
    const std::string_view name = TakeName(arguments);
    if (name.empty()) return BadRegister(whole);
    arguments.SkipBlanks();
    if (!arguments.rest().empty() && arguments.rest().front() == '=') {
      arguments.text().remove_prefix(1);
      Result<std::uint64_t> value =
          arguments.AtEnd() ? AskForValue(session, name, whole, report) : arguments.Expression();
      if (!value) return value.error();
      if (Result<void> set = Assign(session, name, *value, whole); !set) return set.error();
    } else if (Result<void> shown = ShowOne(session, name, whole, report); !shown) {
      return shown.error();
    }
  }
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Mask(Session& session, Arguments& arguments, Report& report, std::uint32_t& mask) {
  if (!arguments.AtEnd()) {
    Result<std::uint64_t> value = arguments.Expression();
    if (!value) return value.error();
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    if (*value > 0xffff) return Error{Errc::kUsage, "^ Overflow error in 'rm'; a mask has 16 bits"};
    mask = static_cast<std::uint32_t>(*value);
    // One width of the integer registers: that of the target.
    if ((mask & kIntegerMask) != 0) mask = (mask & ~kIntegerMask) | (session.pointer_size() == 8 ? 2u : 1u);
    return CommandFlow::kPrompt;
  }
  report.Row("mask", {{"mask", Hex{mask}}}, "Register output mask is " + HexDigits(mask) + ":");
  for (const RegisterMaskName& name : RegisterMaskNames()) {
    if ((mask & name.bit) != 0) report.Line(PadLeft(HexDigits(name.bit), 8) + " - " + name.text);
  }
  return CommandFlow::kPrompt;
}

}  // namespace

void AddRegisterCommands(CommandTable& table) {
  const auto mask = std::make_shared<std::uint32_t>(0);
  auto current = [mask](Session& session) {
    if (*mask == 0) *mask = session.pointer_size() == 8 ? 0xa : 0x9;
    return *mask;
  };
  Command show{{"r"},
               "r [NAME[:TYPE][=VALUE],...] | r.",
               "Shows or sets registers.",
               [current](Session& session, Arguments& arguments, Report& report) {
                 return Registers(session, arguments, report, current(session));
               }};
  // `r $t0 = 7` works while the target runs; what needs it halted says so.
  show.needs_halt = false;
  table.Add(std::move(show));
  struct Fixed {
    const char *name, *help;
    std::uint32_t mask;
  };
  for (const Fixed& fixed : {Fixed{"rF", "Shows the floating-point registers.", kFloatMask},
                             Fixed{"rX", "Shows the vector registers.", kVectorMask}}) {
    table.Add({{fixed.name},
               fixed.name,
               fixed.help,
               [fixed](Session& session, Arguments& arguments, Report& report) -> Result<CommandFlow> {
                 if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
                 return ShowAll(session, fixed.mask, report);
               },
               true});
  }
  table.Add({{"rM"},
             "rM MASK",
             "Shows the registers of a mask.",
             [](Session& session, Arguments& arguments, Report& report) -> Result<CommandFlow> {
               Result<std::uint64_t> given = arguments.Expression();
               if (!given) return given.error();
               if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
               return ShowAll(session, static_cast<std::uint32_t>(*given), report);
             },
             true});
  Command masks{{"rm"},
                "rm [MASK]",
                "Shows or sets which registers `r` shows.",
                [mask, current](Session& session, Arguments& arguments, Report& report) {
                  current(session);
                  return Mask(session, arguments, report, *mask);
                }};
  masks.exact_case = true;  // rM takes a mask for once
  masks.needs_halt = false;
  table.Add(std::move(masks));
}

}  // namespace longwire
