#include "client/commands/command.h"
#include "client/symbols/symbol_path.h"

namespace longwire {
namespace {

using SetPath = void (SymbolLoader::*)(SymbolPath);

/// Symbols that could get better with another path become lazy again (remote-debugging.md 10.2).
void DiscardPoorSymbols(Session& session) {
  for (const auto& module : session.modules().modules()) {
    if (module->state() == SymbolState::kExport || module->state() == SymbolState::kNone) module->Discard();
  }
}

std::string Joined(const std::string& old, std::string_view more) {
  if (old.empty() || more.empty()) return old + std::string(more);
  return old + ";" + std::string(more);
}

bool TakePlus(Arguments& arguments) {
  if (arguments.rest().empty() || arguments.rest().front() != '+') return false;
  arguments.text().remove_prefix(1);
  return true;
}

Result<void> Change(Session& session, const std::string& text, SetPath set) {
  Result<SymbolPath> path = SymbolPath::Parse(text);
  if (!path) return path.error();
  (session.symbols().loader().*set)(std::move(*path));
  DiscardPoorSymbols(session);
  return {};
}

void ShowSymbolPath(Session& session, Report& report) {
  const SymbolPath& path = session.symbols().loader().symbol_path();
  std::string lines = path.text().empty()
                          ? "Symbol search path is: *** Invalid ***\n"
                            "Symbol loading is limited to what the images export; set a path with "
                            ".sympath DIR or -y DIR"
                          : "Symbol search path is: " + path.text();
  if (!path.text().empty()) lines += "\nExpanded Symbol search path is: " + path.Expanded();
  report.Row("path", {{"path", path.text()}, {"expanded", path.Expanded()}}, lines);
}

Result<CommandFlow> SymbolSearchPath(Session& session, Arguments& arguments, Report& report) {
  bool append = TakePlus(arguments);
  std::string text = arguments.TakeRest();
  if (!text.empty()) {
    std::string old = session.symbols().loader().symbol_path().text();
    Result<void> done = Change(session, append ? Joined(old, text) : text, &SymbolLoader::set_symbol_path);
    if (!done) return done.error();
  }
  ShowSymbolPath(session, report);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> FixSymbolPath(Session& session, Arguments& arguments, Report& report) {
  bool append = TakePlus(arguments);
  std::string cache = arguments.TakeRest();
  std::string element = cache.empty() ? "srv*" : "cache*" + cache + ";srv*";
  std::string old = session.symbols().loader().symbol_path().text();
  Result<void> done =
      Change(session, append ? Joined(old, element) : element, &SymbolLoader::set_symbol_path);
  if (!done) return done.error();
  ShowSymbolPath(session, report);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ImageSearchPath(Session& session, Arguments& arguments, Report& report) {
  bool append = TakePlus(arguments);
  std::string text = arguments.TakeRest();
  if (!text.empty()) {
    std::string old = session.symbols().loader().image_path().text();
    Result<void> done = Change(session, append ? Joined(old, text) : text, &SymbolLoader::set_image_path);
    if (!done) return done.error();
  }
  const SymbolPath& path = session.symbols().loader().image_path();
  report.Row("path", {{"path", path.text()}},
             "Executable image search path is: " + (path.text().empty() ? "*** Invalid ***" : path.text()));
  return CommandFlow::kPrompt;
}

Result<CommandFlow> SourceSearchPath(Session& session, Arguments& arguments, Report& report) {
  const bool append = TakePlus(arguments);
  const std::string text = arguments.TakeRest();
  std::string& path = session.options().source_path;
  if (!text.empty()) path = append ? Joined(path, text) : text;
  report.Row("path", {{"path", path}}, "Source search path is: " + (path.empty() ? "*** Invalid ***" : path));
  return CommandFlow::kPrompt;
}

Result<CommandFlow> SymbolTracing(Session& session, Arguments& arguments, Report& report) {
  SymbolOptions& options = session.symbols().loader().options();
  std::string_view word = arguments.Word();
  if (word == "noisy") {
    options.noisy = true;
  } else if (word == "quiet") {
    options.noisy = false;
  } else if (!word.empty()) {
    return Error{Errc::kUsage, "!sym takes noisy or quiet"};
  }
  report.Row("symbol_options", {{"noisy", options.noisy}},
             options.noisy ? "noisy mode - symbol prompts off" : "quiet mode - symbol prompts off");
  return CommandFlow::kPrompt;
}

}  // namespace

void AddSymbolPathCommands(CommandTable& table) {
  table.Add({{".sympath"},
             ".sympath[+] [PATH;...]",
             "Shows, sets or appends to the symbol path.",
             SymbolSearchPath,
             false,
             false});
  table.Add({{".symfix"},
             ".symfix[+] [CACHE]",
             "Sets or appends the default symbol store.",
             FixSymbolPath,
             false,
             false});
  table.Add({{".exepath"},
             ".exepath[+] [PATH;...]",
             "Shows, sets or appends to the image path.",
             ImageSearchPath,
             false,
             false});
  table.Add({{".srcpath"},
             ".srcpath[+] [PATH;...]",
             "Shows, sets or appends to the source path.",
             SourceSearchPath,
             false,
             false});
  table.Add({{"!sym"},
             "!sym [noisy|quiet]",
             "Traces the search for symbols, or not.",
             SymbolTracing,
             false,
             false});
}

}  // namespace longwire
