#include "client/commands/cpp_expression.h"

#include <algorithm>
#include <cctype>

#include "client/commands/local_variables.h"
#include "client/commands/number_text.h"
#include "client/commands/type_printer.h"

namespace longwire {
namespace {

Error NotSupported(const std::string& text) {
  return Error{Errc::kUnsupported,
               "C++ expression '" + text +
                   "' is not supported; there are variables, *(mod!Type*)ADDRESS, sizeof(Type), "
                   "registers and numbers, and `?` for MASM expressions"};
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// A C++ number: decimal, 0x, leading 0 octal, suffixes of L, U, I64. nullopt: not a number.
std::optional<std::uint64_t> CppNumber(std::string_view text) {
  if (text.empty() || !std::isdigit(static_cast<unsigned char>(text.front()))) return std::nullopt;
  unsigned radix = 10;
  if (text.size() > 2 && (text.starts_with("0x") || text.starts_with("0X"))) {
    radix = 16;
    text.remove_prefix(2);
  } else if (text.size() > 1 && text.front() == '0') {
    radix = 8;
  }
  std::uint64_t value = 0;
  std::size_t used = 0;
  for (; used < text.size(); ++used) {
    const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(text[used])));
    const unsigned digit = std::isdigit(static_cast<unsigned char>(c)) ? static_cast<unsigned>(c - '0')
                           : c >= 'a' && c <= 'f'                      ? static_cast<unsigned>(c - 'a') + 10
                                                                       : 99;
    if (digit >= radix) break;
    if (__builtin_mul_overflow(value, std::uint64_t{radix}, &value) ||
        __builtin_add_overflow(value, std::uint64_t{digit}, &value))
      return std::nullopt;
  }
  for (const std::string_view suffix : {"", "l", "u", "ul", "lu", "ll", "ull", "i64", "ui64"}) {
    if (EqualsIgnoringCase(text.substr(used), suffix)) return value;
  }
  return std::nullopt;
}

bool IsName(std::string_view text) {
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '_' || c == '!' || c == ':' || c == '$';
         });
}

/// A plain operand without a type of its own.
Result<std::uint64_t> Operand(Session& session, std::string_view text, const std::string& whole) {
  text = Trim(text);
  if (const auto number = CppNumber(text)) return *number;
  if (text.starts_with("@") && text.size() > 1 && IsName(text.substr(1))) return session.Evaluate(text);
  return NotSupported(whole);
}

void ShowNumber(const std::string& type, std::uint64_t value, const std::string& shown, Report& report) {
  report.Row("value", {{"type", type}, {"value", Hex{value}}}, type + " " + shown);
}

Result<void> ShowAt(Session& session, const TypeReference& type, std::uint64_t address, Report& report) {
  Result<TypeInfo> info = session.symbols().Describe(type);
  if (!info) return info.error();
  TypePrinter printer(session, {}, report);
  if (info->kind == TypeKind::kStruct) {
    report.Line(info->c_name + " 0x" + session.Address(address));
    return printer.Print(type, address);
  }
  Result<MemoryView> view = ReadView(session, address, std::min<std::uint64_t>(info->size, kMaxViewBytes));
  if (!view) return view.error();
  const std::string value = ValueText(session, *view, {type, 0});
  report.Row("value", {{"type", info->c_name}, {"value", value}, {"address", Hex{address}}},
             info->c_name + " " + value);
  return {};
}

/// `*(mod!Type*)ADDRESS`; without the star the pointer itself.
Result<void> ShowCast(Session& session, std::string_view text, bool dereference, const std::string& whole,
                      Report& report) {
  const std::size_t close = text.find(')');
  if (close == std::string_view::npos) return NotSupported(whole);
  std::string_view name = Trim(text.substr(1, close - 1));
  if (!name.ends_with("*")) return NotSupported(whole);
  name = Trim(name.substr(0, name.size() - 1));
  Result<std::uint64_t> address = Operand(session, text.substr(close + 1), whole);
  if (!address) return address.error();
  Result<TypeReference> type = session.symbols().FindType(name);
  if (!type) return Error{Errc::kNotFound, "Type information missing error for '" + std::string(name) + "'"};
  if (dereference) return ShowAt(session, *type, *address, report);
  ShowNumber(CTypeName(session, *type) + " *", *address, "0x" + session.Address(*address), report);
  TypePrinter printer(session, {}, report);
  return printer.Print(*type, *address);
}

Result<void> ShowVariable(Session& session, std::string_view name, bool address_of, const std::string& whole,
                          Report& report) {
  if (name.find('!') == std::string_view::npos && !address_of) {
    if (Result<std::vector<FrameVariable>> locals = ReadFrameVariables(session)) {
      for (const FrameVariable& local : *locals) {
        if (local.variable.name != name) continue;
        if (local.address) return ShowAt(session, local.type, *local.address, report);
        const std::string value =
            local.known ? ValueText(session, local.value, {local.type, 0}) : "<value unavailable>";
        report.Row("value", {{"type", CTypeName(session, local.type)}, {"value", value}},
                   CTypeName(session, local.type) + " " + value);
        return {};
      }
    }
  }
  Result<SymbolTable::Found> symbol = session.symbols().FindSymbol(name);
  if (!symbol) return symbol.error();
  if (symbol->symbol.type == 0)
    return Error{Errc::kNotFound, "Type information missing error for '" + std::string(name) + "'"};
  const TypeReference type{symbol->module, symbol->symbol.type};
  if (!address_of && !symbol->symbol.is_function) return ShowAt(session, type, symbol->address(), report);
  Result<TypeInfo> info = session.symbols().Describe(type);
  if (!info) return NotSupported(whole);
  ShowNumber(info->c_name + (info->kind == TypeKind::kFunction ? "" : " *"), symbol->address(),
             "0x" + session.Address(symbol->address()), report);
  return {};
}

Result<void> Show(Session& session, const std::string& whole, Report& report) {
  std::string_view text = whole;
  if (const auto number = CppNumber(text)) {
    const bool narrow = *number <= 0x7fffffff;
    const std::string decimal = "0n" + std::to_string(static_cast<std::int64_t>(*number));
    ShowNumber(narrow ? "int" : "int64", *number, decimal, report);
    return {};
  }
  if (text.starts_with("sizeof(") && text.ends_with(")")) {
    const std::string_view name = Trim(text.substr(7, text.size() - 8));
    Result<TypeReference> type = session.symbols().FindType(name);
    if (!type)
      return Error{Errc::kNotFound, "Type information missing error for '" + std::string(name) + "'"};
    Result<TypeInfo> info = session.symbols().Describe(*type);
    if (!info) return info.error();
    ShowNumber(session.pointer_size() == 8 ? "unsigned int64" : "unsigned int", info->size,
               DataHex(info->size), report);
    return {};
  }
  if (text.starts_with("*") && Trim(text.substr(1)).starts_with("("))
    return ShowCast(session, Trim(text.substr(1)), true, whole, report);
  if (text.starts_with("(")) return ShowCast(session, text, false, whole, report);
  if (text.starts_with("@")) {
    Result<std::uint64_t> value = Operand(session, text, whole);
    if (!value) return value.error();
    ShowNumber(session.pointer_size() == 8 ? "unsigned int64" : "unsigned int", *value, DataHex(*value),
               report);
    return {};
  }
  const bool address_of = text.starts_with("&");
  if (address_of) text = Trim(text.substr(1));
  if (!IsName(text)) return NotSupported(whole);
  return ShowVariable(session, text, address_of, whole, report);
}

}  // namespace

Result<CommandFlow> EvaluateTyped(Session& session, Arguments& arguments, Report& report) {
  const std::string text = arguments.TakeRest();
  if (text.empty())
    return Error{Errc::kUsage,
                 "^ Syntax error in '?"
                 "?'; it needs an expression"};
  if (session.halted()) (void)session.RefreshModules(false);
  if (Result<void> shown = Show(session, text, report); !shown) return shown.error();
  return CommandFlow::kPrompt;
}

}  // namespace longwire
