#include <algorithm>
#include <optional>
#include <set>

#include "client/commands/command.h"
#include "client/commands/memory_view.h"
#include "client/commands/number_text.h"
#include "client/commands/typed_value.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxMatches = 1'000'000;

struct NameOptions {
  bool address_only = false, name_only = false, no_types = false, verbose = false, types = false,
       quotes = false;
  bool tight = false, functions = false, data = false;
  char order = 0;  ///< a A n N z Z
  std::optional<std::uint64_t> size;
};

struct Match {
  Module* module = nullptr;
  Symbol symbol;
  std::uint64_t address = 0;
};

Result<NameOptions> TakeOptions(Arguments& arguments) {
  NameOptions options;
  while (true) {
    const std::string_view letters = arguments.OptionLetters();
    if (letters.empty()) return options;
    for (const char c : letters) {
      switch (c) {
        case '0': options.address_only = true; break;
        case '1': options.name_only = true; break;
        case '2': options.no_types = true; break;
        case 'v': options.verbose = true; break;
        case 't': options.types = true; break;
        case 'q': options.quotes = true; break;
        case 'p': options.tight = true; break;
        case 'f': options.functions = true; break;
        case 'd': options.data = true; break;
        case 's': {
          Result<std::uint64_t> size = arguments.Expression();
          if (!size) return size.error();
          options.size = *size;
          break;
        }
        case 'a':
        case 'A':
        case 'n':
        case 'N':
        case 'z':
        case 'Z': options.order = c; break;
        default: return SyntaxError("x /" + std::string(letters));
      }
    }
  }
}

void Sort(char order, std::vector<Match>& matches) {
  auto before = [order](const Match& a, const Match& b) {
    switch (order) {
      case 'a': return a.address < b.address;
      case 'A': return a.address > b.address;
      case 'n': return a.symbol.name < b.symbol.name;
      case 'N': return a.symbol.name > b.symbol.name;
      case 'z': return a.symbol.size < b.symbol.size;
      default: return a.symbol.size > b.symbol.size;
    }
  };
  if (order != 0) std::stable_sort(matches.begin(), matches.end(), before);
}

/// " (struct _DEVICE *)", " = struct _GLOBALS", " (<no parameter info>)".
std::string Signature(Session& session, const Match& match, const NameOptions& options) {
  const char* gap = options.tight ? "" : " ";
  const TypeReference type{match.module, match.symbol.type};
  if (match.symbol.is_function) {
    const std::string parameters = ParameterNames(session, type);
    return gap + ("(" + (parameters.empty() ? std::string("<no parameter info>") : parameters) + ")");
  }
  if (match.symbol.type == 0) return options.verbose ? " = <no type information>" : "";
  return " = " + CTypeName(session, type);
}

void Show(Session& session, const Match& match, const NameOptions& options, Report& report) {
  std::string name = match.module->name() + "!" + match.symbol.name;
  const std::string address = session.Address(match.address);
  const bool plain = options.address_only || options.name_only || options.no_types;
  const std::string signature = plain ? "" : Signature(session, match, options);
  Fields fields = {{"address", Hex{match.address}},
                   {"name", name},
                   {"size", Hex{match.symbol.size}},
                   {"function", match.symbol.is_function},
                   {"public", match.symbol.is_public}};
  if (match.symbol.type != 0 && !plain)
    fields.push_back({"type", CTypeName(session, {match.module, match.symbol.type})});
  if (options.quotes) name = "@!\"" + name + "\"";
  std::string line;
  if (options.address_only)
    line = address;
  else if (options.name_only)
    line = name;
  else if (options.verbose) {
    line = std::string(match.symbol.is_public ? "pub " : "prv ") +
           (match.symbol.is_function ? "func   " : "global ") + address + " " +
           PadLeft(HexDigits(match.symbol.size), 4) + " " + name + signature;
  } else {
    const bool return_type = options.types && match.symbol.type != 0;
    line = address + " " + (return_type ? CTypeName(session, {match.module, match.symbol.type}) + " " : "") +
           name + signature;
  }
  report.Row("symbol", std::move(fields), line);
}

Result<CommandFlow> Examine(Session& session, Arguments& arguments, Report& report) {
  Result<NameOptions> options = TakeOptions(arguments);
  if (!options) return options.error();
  std::string pattern = arguments.TakeRest();
  if (pattern.empty()) return Error{Errc::kUsage, "^ Syntax error in 'x'; it needs a pattern like nt!Ke*"};
  if (session.halted()) {
    (void)session.RefreshModules(false);
    const std::size_t mark = pattern.find('!');
    if (mark != std::string::npos)
      session.PrepareImages(session.modules().Match(std::string_view(pattern).substr(0, mark)));
  }
  std::vector<Match> matches;
  session.symbols().ForEachSymbol(pattern, [&](Module& module, const Symbol& symbol, std::uint64_t address) {
    if (options->functions && !symbol.is_function) return true;
    if (options->data && symbol.is_function) return true;
    if (options->size && symbol.size != *options->size) return true;
    matches.push_back({&module, symbol, address});
    return matches.size() < kMaxMatches && !session.interrupt().raised();
  });
  // The same place is often known twice: with its type, and as a public.
  std::set<std::pair<std::uint64_t, std::string>> typed;
  for (const Match& match : matches) {
    if (!match.symbol.is_public) typed.insert({match.address, match.symbol.name});
  }
  std::erase_if(matches, [&](const Match& match) {
    return match.symbol.is_public && typed.contains({match.address, match.symbol.name});
  });
  Sort(options->order, matches);
  for (const Match& match : matches) {
    if (session.interrupt().raised()) return Cancelled();
    Show(session, match, *options, report);
  }
  return CommandFlow::kPrompt;
}

/// "(fffff806`12341000)   mydrv!EvtDeviceAdd+0x1c".
std::string NearText(Session& session, const NearbySymbol& symbol) {
  return "(" + session.Address(symbol.address) + ")   " + symbol.Text();
}

Result<CommandFlow> ListNearest(Session& session, Arguments& arguments, Report& report) {
  const Result<std::uint64_t> given = arguments.AddressOrHere();
  if (!given) return given.error();
  const std::uint64_t address = *given;
  (void)session.NameOf(address);  // loads the symbols
  Result<NearbySymbol> nearest = session.symbols().Nearest(address);
  if (!nearest || !nearest->symbol) return CommandFlow::kPrompt;
  if (session.options().source_lines) {
    if (Result<SourceLine> source = session.symbols().FindLine(address)) {
      std::string line = source->file + "(" + std::to_string(source->line) + ")";
      if (source->displacement != 0) line += "+0x" + HexDigits(source->displacement);
      report.Line(line);
    }
  }
  std::string line = NearText(session, *nearest);
  Fields fields = {{"name", nearest->module->name() + "!" + nearest->symbol->name},
                   {"address", Hex{nearest->address}},
                   {"displacement", Hex{nearest->displacement}}};
  if (Result<NearbySymbol> next = session.symbols().Next(address)) {
    next->displacement = 0;
    line += "   |  " + NearText(session, *next);
    fields.push_back({"next", next->Text()});
    fields.push_back({"next_address", Hex{next->address}});
  }
  report.Row("nearest", std::move(fields), line);
  if (nearest->displacement == 0) {
    report.Line("Exact matches:");
    report.Line("    " + nearest->Text() +
                Signature(session, {nearest->module, *nearest->symbol, nearest->address}, {}));
  }
  return CommandFlow::kPrompt;
}

}  // namespace

void AddNameCommands(CommandTable& table) {
  Command examine{{"x"},
                  "x [/0] [/1] [/2] [/v] [/t] [/s SIZE] [/q] [/p] [/f] [/d] [/a] [/n] [/z] [MODULE!]PATTERN",
                  "Lists the symbols that match a pattern.",
                  Examine};
  examine.needs_halt = false;
  table.Add(std::move(examine));
  Command nearest{{"ln"}, "ln [ADDRESS]", "Shows the symbols around an address.", ListNearest};
  nearest.needs_halt = false;
  table.Add(std::move(nearest));
}

}  // namespace longwire
