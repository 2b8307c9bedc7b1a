#include <algorithm>
#include <cctype>

#include "client/commands/command.h"
#include "client/commands/local_variables.h"
#include "client/commands/number_text.h"
#include "client/commands/type_printer.h"
#include "client/engine/image_plan.h"
#include "client/symbols/field_path.h"
#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxListed = 100'000;
constexpr unsigned kDefaultDepth = 10;
constexpr std::size_t kMaxListElements = 65'536;

struct TypeRequest {
  TypePrintOptions options;
  std::string name;
  std::string list_field;   ///< -l
  bool types_only = false;  ///< -t
  std::optional<std::uint64_t> address;
};

unsigned DecimalDigits(std::string_view text, unsigned otherwise) {
  if (text.empty()) return otherwise;
  unsigned number = 0;
  for (const char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c))) return otherwise;
    number = std::min(10'000u, number * 10 + static_cast<unsigned>(c - '0'));
  }
  return number;
}

/// One `-x` option; those with an argument take the next word.
Result<void> TakeOption(Arguments& arguments, std::string_view option, TypeRequest& request) {
  TypePrintOptions& options = request.options;
  const std::string_view number = option.size() > 2 ? option.substr(2) : std::string_view();
  switch (option[1]) {
    case 'a': options.array_elements = DecimalDigits(number, 0); return {};
    case 'b': options.blocks = true; return {};
    case 'c': options.compact = true; return {};
    case 'd':
    case 'v': options.verbose = true; return {};
    case 'e': return {};
    case 'i': options.no_indent = true; return {};
    case 'o': options.no_offsets = true; return {};
    case 'p': options.physical = true; return {};
    case 't': request.types_only = true; return {};
    case 'r': options.depth = DecimalDigits(number, kDefaultDepth); return {};
    case 'l': request.list_field = arguments.Word(); return {};
    case 'n': request.name = arguments.Word(); return {};
    case 'y': options.fields.push_back(std::string(arguments.Word()) + "*"); return {};
    default: return SyntaxError("dt " + std::string(option));
  }
}

/// Whether a word behind the type is the address and not a field: a number, a register, an expression in
/// brackets.
bool LooksLikeAddress(Session& session, std::string_view word) {
  if (word.empty()) return false;
  const unsigned char c = static_cast<unsigned char>(word.front());
  if (std::isdigit(c) || c == '@' || c == '(' || c == '$' || c == '-' || c == '+') return true;
  if (word.find('`') != std::string_view::npos || word.find('!') != std::string_view::npos) return true;
  if (word.size() > 4 && EqualsIgnoringCase(word.substr(0, 4), "poi(")) return true;
  const bool hexadecimal =
      std::all_of(word.begin(), word.end(), [](unsigned char d) { return std::isxdigit(d); });
  return hexadecimal && word.size() >= session.pointer_size();
}

Result<TypeRequest> ParseRequest(Session& session, Arguments& arguments) {
  TypeRequest request;
  while (!arguments.AtEnd()) {
    const std::string_view before = arguments.rest();
    const std::string_view word = arguments.Word();
    if (word.size() > 1 && word.front() == '-' && std::isalpha(static_cast<unsigned char>(word[1]))) {
      if (Result<void> taken = TakeOption(arguments, word, request); !taken) return taken.error();
    } else if (request.name.empty() &&
               (word == "struct" || word == "union" || word == "enum" || word == "class")) {
      continue;
    } else if (request.name.empty()) {
      request.name = word;
    } else if (!request.address && LooksLikeAddress(session, word)) {
      arguments.text() = before;
      Result<std::uint64_t> address = arguments.Address();
      if (!address) return address.error();
      request.address = *address;
    } else {
      request.options.fields.emplace_back(word);
    }
  }
  if (request.name.empty())
    return Error{Errc::kUsage, "^ Syntax error in 'dt'; it needs the name of a type or variable"};
  return request;
}

/// `dt mod!Pat*`: the types and, unless -t, the data symbols.
Result<CommandFlow> List(Session& session, const TypeRequest& request, Report& report) {
  std::size_t listed = 0;
  const std::string indent(session.pointer_size() == 8 ? 10 : 1, ' ');
  auto more = [&] { return ++listed < kMaxListed && !session.interrupt().raised(); };
  session.symbols().ForEachType(request.name, [&](Module& module, TypeId, std::string_view name) {
    const std::string text = module.name() + "!" + std::string(name);
    report.Row("type", {{"name", text}}, indent + text);
    return more();
  });
  if (!request.types_only && !session.interrupt().raised()) {
    session.symbols().ForEachSymbol(request.name,
                                    [&](Module& module, const Symbol& symbol, std::uint64_t address) {
                                      if (symbol.type == 0 || symbol.is_function) return true;
                                      const std::string text = module.name() + "!" + symbol.name;
                                      report.Row("symbol", {{"name", text}, {"address", Hex{address}}},
                                                 session.Address(address) + "  " + text);
                                      return more();
                                    });
  }
  if (session.interrupt().raised()) return Cancelled();
  if (listed == 0) return Error{Errc::kNotFound, "Symbol " + request.name + " not found."};
  return CommandFlow::kPrompt;
}

/// `-l Field`: every element of a list, whose links point to elements or to the field in them.
Result<CommandFlow> PrintList(Session& session, const TypeReference& type, const TypeRequest& request,
                              Report& report) {
  Result<FieldLocation> link = FindField(session.symbols(), type, request.list_field);
  if (!link) return link.error();
  Result<TypeInfo> info = session.symbols().Describe(link->type);
  if (!info) return info.error();
  std::uint64_t shift = 0;
  if (info->kind == TypeKind::kStruct) {
    shift = link->offset;
  } else if (info->kind == TypeKind::kPointer && request.list_field.find('.') != std::string::npos) {
    const std::string outer = request.list_field.substr(0, request.list_field.rfind('.'));
    Result<FieldLocation> around = FindField(session.symbols(), type, outer);
    const Result<TypeInfo> pointee = session.symbols().Describe({type.module, info->referent});
    const Result<TypeInfo> whole = session.symbols().Describe(type);
    if (around && pointee && whole && pointee->name != whole->name) shift = around->offset;
  }
  std::uint64_t address = *request.address;
  for (std::size_t count = 0; count < kMaxListElements; ++count) {
    if (session.interrupt().raised()) return Cancelled();
    report.Line(request.list_field + " at 0x" + session.Address(address));
    report.Line("---------------------------------------------");
    TypePrinter printer(session, request.options, report);
    if (Result<void> printed = printer.Print(type, address); !printed) return printed.error();
    report.Line("");
    Result<std::uint64_t> next = session.ReadPointer(address + link->offset);
    if (!next) return next.error();
    if (*next == 0 || *next - shift == *request.address || *next - shift == address)
      return CommandFlow::kPrompt;
    address = *next - shift;
  }
  return Error{Errc::kLimitExceeded, "the list has more than 65536 elements"};
}

/// A local variable: "Local var @ rcx Type _DEVICE*", then what it is or points to.
Result<bool> PrintLocal(Session& session, const TypeRequest& request, Report& report) {
  if (request.address || request.name.find('!') != std::string::npos || !session.halted()) return false;
  Result<std::vector<FrameVariable>> locals = ReadFrameVariables(session);
  if (!locals) return false;
  const auto local = std::find_if(locals->begin(), locals->end(),
                                  [&](const FrameVariable& v) { return v.variable.name == request.name; });
  if (local == locals->end()) return false;
  std::string type_name = CTypeName(session, local->type);
  report.Line("Local var " + LocationText(session, *local) + " Type " + type_name);
  Result<TypeInfo> info = session.symbols().Describe(local->type);
  TypePrinter printer(session, request.options, report);
  if (info && info->kind == TypeKind::kPointer) {
    const auto value =
        local->value.Unsigned(0, static_cast<unsigned>(std::min<std::uint64_t>(8, info->size)));
    Result<TypeInfo> pointee = session.symbols().Describe({local->type.module, info->referent});
    if (value && *value != 0 && pointee && pointee->kind == TypeKind::kStruct) {
      if (Result<void> printed = printer.Print({local->type.module, info->referent}, *value); !printed)
        return printed.error();
      return true;
    }
  }
  if (local->address) {
    if (Result<void> printed = printer.Print(local->type, *local->address); !printed) return printed.error();
    return true;
  }
  if (info && info->kind == TypeKind::kStruct && local->Visible()) {
    if (Result<void> printed = printer.Print(local->type, local->value); !printed) return printed.error();
    return true;
  }
  report.Line(local->Visible() ? ValueText(session, local->value, {local->type, 0}) : "<value unavailable>");
  return true;
}

/// The structure travels with the answer that identifies the symbols. Where they are known already, what
/// their types say is read.
void Prepare(Session& session, const TypeRequest& request) {
  if (!session.halted()) return;
  const std::size_t mark = request.name.find('!');
  Module* module = mark == std::string::npos
                       ? nullptr
                       : session.modules().FindByName(std::string_view(request.name).substr(0, mark));
  const std::span<Module* const> images(&module, module == nullptr ? 0 : 1);
  if (request.address && !request.options.physical && !session.Unidentified(images).empty()) {
    session.PrepareStructure(images, *request.address);
  } else {
    session.PrepareImages(images);
  }
}

Result<CommandFlow> DisplayType(Session& session, Arguments& arguments, Report& report) {
  Result<TypeRequest> request = ParseRequest(session, arguments);
  if (!request) return request.error();
  if (session.halted()) (void)session.RefreshModules(false);
  if (Wildcard::IsPattern(request->name)) return List(session, *request, report);
  Prepare(session, *request);
  Result<bool> local = PrintLocal(session, *request, report);
  if (!local) return local.error();
  if (*local) return CommandFlow::kPrompt;
  Result<TypeReference> type = session.symbols().FindType(request->name);
  if (!type) {
    Result<SymbolTable::Found> symbol = session.symbols().FindSymbol(request->name);
    if (!symbol || symbol->symbol.type == 0) return type.error();
    type = TypeReference{symbol->module, symbol->symbol.type};
    if (!request->address) request->address = symbol->address();
  }
  if (request->address && !session.halted())
    return Error{Errc::kTargetRunning, "The target is running; break in first (Ctrl-C)"};
  if (!request->list_field.empty()) {
    if (!request->address) return Error{Errc::kUsage, "dt -l needs the address of the first element"};
    return PrintList(session, *type, *request, report);
  }
  TypePrinter printer(session, request->options, report);
  if (Result<void> printed = printer.Print(*type, request->address); !printed) return printed.error();
  return CommandFlow::kPrompt;
}

}  // namespace

void AddTypeCommands(CommandTable& table) {
  Command command{{"dt"},
                  "dt [-r[N]] [-b] [-v] [-a[N]] [-c] [-i] [-o] [-p] [-t] [-y PREFIX] [-l FIELD] "
                  "[MODULE!]NAME [FIELD...] [ADDRESS]",
                  "Shows a type, or a structure in memory.",
                  DisplayType};
  command.needs_halt = false;  // types need no target
  table.Add(std::move(command));
}

}  // namespace longwire
