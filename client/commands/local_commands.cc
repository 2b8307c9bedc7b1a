#include <algorithm>

#include "client/commands/local_variables.h"
#include "client/commands/number_text.h"
#include "client/commands/scope_commands.h"
#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

struct LocalOptions {
  bool type = false, location = false, registers = false, kind = false, addresses_of = false;
  bool by_name = false, by_address = false, by_size = false;
};

Result<LocalOptions> TakeOptions(Arguments& arguments) {
  LocalOptions options;
  while (true) {
    const std::string_view letters = arguments.OptionLetters();
    if (letters.empty()) return options;
    for (const char c : letters) {
      switch (c) {
        case 't': options.type = true; break;
        case 'v': options.location = true; break;
        case 'V': options.location = options.registers = true; break;
        case 'i': options.kind = true; break;
        case 'n': options.by_name = true; break;
        case 'a': options.by_address = true; break;
        case 'z': options.by_size = true; break;
        default: return SyntaxError("dv /" + std::string(letters));
      }
    }
  }
}

void SortVariables(const LocalOptions& options, std::vector<FrameVariable>& variables) {
  if (!options.by_name && !options.by_address && !options.by_size) return;
  std::stable_sort(variables.begin(), variables.end(), [&](const FrameVariable& a, const FrameVariable& b) {
    if (options.by_name) return a.variable.name < b.variable.name;
    if (options.by_address) return a.address.value_or(0) < b.address.value_or(0);
    return a.size < b.size;
  });
}

std::string Line(Session& session, const LocalOptions& options, const FrameVariable& variable,
                 const std::string& value) {
  std::string line;
  if (options.kind) line += variable.variable.is_parameter ? "prv param  " : "prv local  ";
  if (options.location) {
    std::string place =
        variable.address ? session.Address(*variable.address) : RegisterLocationText(variable);
    line += PadRight(place, session.Address(0).size()) + " ";
    if (options.registers && variable.address) line += PadRight(RegisterLocationText(variable), 12) + " ";
  }
  if (options.type)
    return line + CTypeName(session, variable.type) + " " + variable.variable.name + " = " + value;
  // With a column in front names stand as they are, alone they line up.
  return line +
         (options.kind || options.location ? variable.variable.name : PadLeft(variable.variable.name, 15)) +
         " = " + value;
}

Result<CommandFlow> Locals(Session& session, Arguments& arguments, Report& report) {
  Result<LocalOptions> options = TakeOptions(arguments);
  if (!options) return options.error();
  std::string pattern = arguments.TakeRest();
  if (pattern.empty()) pattern = "*";
  Result<std::vector<FrameVariable>> variables = ReadFrameVariables(session);
  if (!variables) {
    if (variables.error().code != Errc::kNotFound) return variables.error();
    return Error{Errc::kNotFound,
                 "Unable to enumerate locals, Win32 error 0n87\nPrivate symbols (symbols.pri) are required "
                 "for locals."};
  }
  SortVariables(*options, *variables);
  const Wildcard wildcard(pattern);
  for (const FrameVariable& variable : *variables) {
    if (session.interrupt().raised()) return Cancelled();
    if (!wildcard.Matches(variable.variable.name)) continue;
    std::string value = "<value unavailable>";
    if (variable.Visible()) {
      Result<TypeInfo> info = session.symbols().Describe(variable.type);
      const bool structure = info && info->kind == TypeKind::kStruct;
      // A structure is named; `dt` shows it.
      value = structure ? info->c_name : ValueText(session, variable.value, {variable.type, 0});
    }
    Fields fields = {{"name", variable.variable.name},
                     {"type", CTypeName(session, variable.type)},
                     {"parameter", variable.variable.is_parameter},
                     {"value", value}};
    if (variable.address) fields.push_back({"address", Hex{*variable.address}});
    if (const std::string place = RegisterLocationText(variable); !place.empty())
      fields.push_back({"location", place});
    report.Row("local", std::move(fields), Line(session, *options, variable, value));
  }
  return CommandFlow::kPrompt;
}

}  // namespace

void AddLocalCommands(CommandTable& table) {
  table.Add({{"dv"},
             "dv [/t] [/v] [/V] [/i] [/n] [/a] [/z] [PATTERN]",
             "Shows the locals of the selected frame.",
             Locals});
}

}  // namespace longwire
