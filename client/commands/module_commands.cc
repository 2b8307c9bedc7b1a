#include <algorithm>
#include <cctype>

#include "client/commands/command.h"
#include "client/commands/module_text.h"
#include "client/engine/breakpoints.h"
#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

struct ListQuery {
  ModuleListStyle style;
  bool loaded = true, unloaded = true, only_with_symbols = false;
  std::optional<std::uint64_t> address;
  std::string pattern, path_pattern;
};

/// `a`, `m` and `M` take the next word, or what follows at once behind a blank.
Result<void> TakeOperand(Arguments& arguments, char letter, ListQuery& query) {
  if (letter == 'a') {
    Result<std::uint64_t> address = arguments.Address();
    if (!address) return address.error();
    query.address = *address;
  } else {
    std::string_view word = arguments.Word();
    if (word.empty()) return Error{Errc::kUsage, "lm m needs a pattern: lm m mydrv*"};
    (letter == 'm' ? query.pattern : query.path_pattern) = std::string(word);
  }
  query.unloaded = false;
  return {};
}

Result<ListQuery> ParseList(Arguments& arguments) {
  ListQuery query;
  while (!arguments.rest().empty()) {
    char letter = arguments.rest().front();
    arguments.text().remove_prefix(1);
    switch (letter) {
      case ' ':
      case '\t':
      case 'k':
      case 's':
      case 'D':
      case 'i':
      case 'c':
      case 'e': break;
      case 'v': query.style.verbose = true; break;
      case 'f': query.style.path = true; break;
      case 'n': query.style.image_name = true; break;
      case 't': query.style.time_stamp = true; break;
      case 'p': break;
      case 'o': query.unloaded = false; break;
      case 'l':
        query.only_with_symbols = true;
        query.unloaded = false;
        break;
      case 'u': query.loaded = false; break;
      case '1':
        if (arguments.rest().empty() || arguments.rest().front() != 'm') return SyntaxError("lm1");
        query.style.names_only = true;
        query.unloaded = false;
        arguments.text().remove_prefix(1);
        if (!arguments.rest().empty() && arguments.rest().front() != ' ') break;
        // `lm1m PATTERN` is how it is typed, `lm 1m m PATTERN` how it is documented.
        if (!arguments.AtEnd() && arguments.rest().substr(0, 2) != "m " &&
            arguments.rest().substr(0, 2) != "a ") {
          if (Result<void> done = TakeOperand(arguments, 'm', query); !done) return done.error();
        }
        break;
      case 'a':
      case 'm':
      case 'M':
        if (Result<void> done = TakeOperand(arguments, letter, query); !done) return done.error();
        break;
      default: return SyntaxError("lm" + std::string(1, letter) + std::string(arguments.rest()));
    }
  }
  return query;
}

bool Selected(const ListQuery& query, Module& module) {
  if (query.address && !module.Contains(*query.address)) return false;
  if (query.only_with_symbols && (!module.symbols() || module.state() == SymbolState::kNone)) return false;
  if (!query.pattern.empty() && !Wildcard(query.pattern).Matches(module.name())) return false;
  return query.path_pattern.empty() || Wildcard(query.path_pattern).Matches(module.image_path());
}

Result<CommandFlow> ListModules(Session& session, Arguments& arguments, Report& report) {
  Result<ListQuery> query = ParseList(arguments);
  if (!query) return query.error();
  if (Result<void> refreshed = session.RefreshModules(false); !refreshed) return refreshed.error();
  if (!query->style.names_only) report.Line(ModuleListHeader(session.pointer_size()));
  for (const auto& module : session.modules().modules()) {
    if (session.interrupt().raised()) return Error{Errc::kCancelled, "cancelled by the user"};
    if (query->loaded && Selected(*query, *module)) ReportModule(session, *module, query->style, report);
  }
  if (!query->unloaded || query->style.names_only || session.modules().unloaded().empty())
    return CommandFlow::kPrompt;
  report.Line("\nUnloaded modules:");
  for (const ModuleRecord& module : session.modules().unloaded())
    ReportUnloadedModule(session, module, report);
  return CommandFlow::kPrompt;
}

/// Modules by module name or image name, wildcards allowed.
std::vector<Module*> FindModules(Session& session, std::string_view name) {
  std::vector<Module*> found = session.modules().Match(name);
  if (found.empty()) {
    if (Module* module = session.modules().FindByImageName(name)) found.push_back(module);
  }
  return found;
}

Result<CommandFlow> LoadSymbols(Session& session, Arguments& arguments, Report& report) {
  std::string_view name = arguments.Word();
  if (name.empty()) return Error{Errc::kUsage, "ld needs a module: ld mydrv, or ld * for all"};
  (void)session.RefreshModules(false);
  std::vector<Module*> modules = FindModules(session, name);
  if (modules.empty())
    return Error{Errc::kNotFound, "Module '" + std::string(name) + "' not found; lm lists the modules"};
  session.PrepareImages(modules);
  for (Module* module : modules) {
    if (session.interrupt().raised()) return Error{Errc::kCancelled, "cancelled by the user"};
    bool deferred = module->state() == SymbolState::kDeferred;
    if (deferred) session.symbols().loader().Load(*module);
    report.Row("symbols",
               {{"module", module->name()},
                {"symbols", std::string(SymbolStateName(module->state()))},
                {"symbol_file", module->symbol_path()}},
               (deferred ? "Symbols loaded for " : "Symbols already loaded for ") + module->name());
  }
  return CommandFlow::kPrompt;
}

struct ReloadRequest {
  bool force = false, list = false, unload = false, ignore_mismatch = false, unloaded_list = false,
       user = false;
  std::string module;
};

Result<ReloadRequest> ParseReload(Arguments& arguments) {
  ReloadRequest request;
  while (!arguments.AtEnd()) {
    std::string word(arguments.Word());
    if (word[0] != '/' && word[0] != '-') {
      request.module = word;
      continue;
    }
    std::string option = word.substr(1);
    if (option == "f")
      request.force = true;
    else if (option == "i")
      request.force = request.ignore_mismatch = true;
    else if (option == "l")
      request.list = true;
    else if (option == "u")
      request.unload = true;
    else if (option == "unl")
      request.unloaded_list = true;
    else if (option == "user")
      request.user = true;
    else if (option != "s" && option != "d" && option != "n" && option != "v" && option != "w" &&
             option != "o") {
      return SyntaxError(".reload " + word);
    }
  }
  return request;
}

/// `.reload MODULE=ADDR[,SIZE[,STAMP]]`
Result<void> AddByAddress(Session& session, std::string_view text, ModuleRecord& record) {
  std::size_t equals = text.find('=');
  record.image_name = std::string(text.substr(0, equals));
  std::string_view rest = text.substr(equals + 1);
  std::uint64_t numbers[3] = {0, 0x10000, 0};
  for (std::uint64_t& number : numbers) {
    if (rest.empty()) break;
    std::size_t comma = rest.find(',');
    Result<std::uint64_t> value = session.Evaluate(rest.substr(0, comma));
    if (!value) return value.error();
    number = *value;
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  record.base = session.Plain(numbers[0]);
  record.size = static_cast<std::uint32_t>(numbers[1]);
  record.timestamp = static_cast<std::uint32_t>(numbers[2]);
  return {};
}

Result<CommandFlow> ReloadOne(Session& session, const ReloadRequest& request, Report& report) {
  if (request.module.find('=') != std::string::npos) {
    ModuleRecord record;
    if (Result<void> parsed = AddByAddress(session, request.module, record); !parsed) return parsed.error();
    Module& module = session.modules().Add(std::move(record));
    if (request.force) session.symbols().loader().Load(module);
    return CommandFlow::kPrompt;
  }
  std::vector<Module*> modules = FindModules(session, request.module);
  if (modules.empty()) {
    return Error{Errc::kNotFound, "Unable to load image " + request.module +
                                      ", Win32 error 0n2 (no such module; lm lists them)"};
  }
  for (Module* module : modules) {
    if (request.unload) {
      session.modules().Remove(*module);
      continue;
    }
    module->Discard();
    if (request.force) session.symbols().loader().Load(*module);
    if (request.force) {
      report.Row("symbols",
                 {{"module", module->name()}, {"symbols", std::string(SymbolStateName(module->state()))}},
                 "");
    }
  }
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Reload(Session& session, Arguments& arguments, Report& report) {
  Result<ReloadRequest> request = ParseReload(arguments);
  if (!request) return request.error();
  if (Result<void> refreshed = session.RefreshModules(!request->unload); !refreshed) return refreshed.error();
  SymbolOptions& options = session.symbols().loader().options();
  bool accepted = options.load_anything;
  if (request->ignore_mismatch) options.load_anything = true;
  Result<CommandFlow> flow = CommandFlow::kPrompt;
  if (request->list) {
    for (const auto& module : session.modules().modules()) ReportModule(session, *module, {}, report);
  } else if (!request->module.empty()) {
    flow = ReloadOne(session, *request, report);
  } else {
    report.Line("Loading Kernel Symbols");
    std::size_t shown = 0;
    for (const auto& module : session.modules().modules()) {
      if (session.interrupt().raised()) break;
      module->Discard();
      if (request->force) session.symbols().loader().Load(*module);
      report.Text(++shown % 64 == 0 ? ".\n" : ".");
    }
    if (shown % 64 != 0) report.Text("\n");
    report.Line("Loading User Symbols\n\nLoading unloaded module list");
    report.Row("modules", {{"count", static_cast<std::int64_t>(session.modules().size())}}, "");
  }
  options.load_anything = accepted;
  session.breakpoints().FollowModules();
  return flow;
}

}  // namespace

void AddModuleCommands(CommandTable& table) {
  Command list{{"lm"},
               "lm[olvukf n t 1m] [a ADDRESS] [m PATTERN] [M PATTERN]",
               "Lists modules and their symbols.",
               ListModules,
               false,
               false};
  list.prefix = true;
  table.Add(std::move(list));
  table.Add({{"ld"}, "ld MODULE|*", "Loads the symbols of a module now.", LoadSymbols});
  table.Add({{".reload"},
             ".reload [/f /i /l /u /user /unl] [MODULE[=ADDRESS[,SIZE[,STAMP]]]]",
             "Reads the module list again and discards symbols.",
             Reload});
}

}  // namespace longwire
