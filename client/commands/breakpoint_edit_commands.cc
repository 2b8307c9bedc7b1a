#include <algorithm>
#include <map>

#include "client/commands/breakpoint_syntax.h"
#include "client/commands/number_text.h"

namespace longwire {
namespace {

Result<Breakpoint*> TakeBreakpoint(Session& session, Arguments& arguments) {
  const std::string_view word = arguments.Word();
  const std::optional<unsigned> id = ParseBreakpointId(word);
  if (!id)
    return Error{Errc::kUsage, "^ Syntax error in '" + std::string(word) + "'; name a breakpoint by its id"};
  if (Breakpoint* breakpoint = session.breakpoints().Find(*id)) return breakpoint;
  return Error{Errc::kNotFound, "Breakpoint " + std::string(word) + " does not exist"};
}

/// `bs`, and `bsc` with a condition before the commands.
Result<CommandFlow> SetCommands(Session& session, Arguments& arguments, bool with_condition) {
  Result<Breakpoint*> breakpoint = TakeBreakpoint(session, arguments);
  if (!breakpoint) return breakpoint.error();
  std::string condition;
  if (with_condition) {
    Result<std::string> quoted = TakeQuoted(arguments);
    if (!quoted) return quoted.error();
    condition = quoted->empty() ? std::string(arguments.Word()) : std::move(*quoted);
    if (condition.empty()) return Error{Errc::kUsage, "bsc needs a condition: bsc 0 \"@rcx == 5\""};
  }
  Result<std::string> commands = TakeQuoted(arguments);
  if (!commands) return commands.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  (*breakpoint)->commands = std::move(*commands);
  if (with_condition) (*breakpoint)->condition = std::move(condition);
  return CommandFlow::kPrompt;
}

/// `br OLD NEW [OLD NEW]...`: all or none.
Result<CommandFlow> Renumber(Session& session, Arguments& arguments) {
  std::vector<std::pair<Breakpoint*, unsigned>> changes;
  while (!arguments.AtEnd()) {
    Result<Breakpoint*> breakpoint = TakeBreakpoint(session, arguments);
    if (!breakpoint) return breakpoint.error();
    const std::string_view word = arguments.Word();
    const std::optional<unsigned> id = ParseBreakpointId(word);
    if (!id) return SyntaxError("br " + std::string(word));
    changes.emplace_back(*breakpoint, *id);
  }
  if (changes.empty()) return Error{Errc::kUsage, "br needs pairs of ids: br OLD NEW"};
  if (Result<void> done = session.breakpoints().Renumber(changes); !done) return done.error();
  return CommandFlow::kPrompt;
}

/// Commands that set the breakpoints again, in another session for example.
Result<CommandFlow> ShowAsCommands(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  for (const auto& breakpoint : session.breakpoints().list()) {
    const std::string id = std::to_string(breakpoint->id);
    const bool data = breakpoint->kind != rpc::BreakpointKind::kCode;
    std::string line = data ? "ba" + id + " " + std::string(AccessLetter(*breakpoint)) +
                                  std::to_string(breakpoint->size) + " "
                            : (breakpoint->symbolic ? "bu" : "bp") + id + " ";
    line += BreakpointOptionsText(session, *breakpoint);
    line += breakpoint->symbolic ? breakpoint->expression : "0x" + session.Address(breakpoint->address);
    if (breakpoint->passes != 1) line += " 0x" + HexDigits(breakpoint->passes);
    if (!breakpoint->commands.empty()) line += " \"" + breakpoint->commands + "\"";
    line += ";";
    if (!breakpoint->enabled) line += "bd " + id + ";";
    report.Row("breakpoint_command", {{"command", line}}, line);
  }
  return CommandFlow::kPrompt;
}

/// Functions a pattern names, by address: one that is known twice is set once.
Result<std::map<std::uint64_t, std::string>> Functions(Session& session, const std::string& pattern) {
  (void)session.RefreshModules(false);
  if (const std::size_t mark = pattern.find('!'); mark != std::string::npos)
    session.PrepareImages(session.modules().Match(std::string_view(pattern).substr(0, mark)));
  std::map<std::uint64_t, std::string> functions;
  session.symbols().ForEachSymbol(pattern, [&](Module& module, const Symbol& symbol, std::uint64_t address) {
    if (symbol.is_function) functions.emplace(address, module.name() + "!" + symbol.name);
    return functions.size() <= Breakpoints::kMaxBreakpoints && !session.interrupt().raised();
  });
  if (session.interrupt().raised()) return Error{Errc::kCancelled, "cancelled by the user"};
  if (functions.empty())
    return Error{Errc::kNotFound, "No matching code symbols found, no breakpoints set for '" + pattern + "'"};
  return functions;
}

Result<CommandFlow> SetMany(Session& session, Arguments& arguments, Report& report) {
  Breakpoint like;
  if (Result<void> options = TakeBreakpointOptions(arguments, like); !options) return options.error();
  const std::string pattern(arguments.Word());
  if (pattern.empty()) return Error{Errc::kUsage, "bm needs a pattern: bm mydrv!Evt*"};
  if (Result<void> tail = TakeBreakpointTail(arguments, like); !tail) return tail.error();
  Result<std::map<std::uint64_t, std::string>> functions = Functions(session, pattern);
  if (!functions) return functions.error();
  if (functions->size() + session.breakpoints().list().size() > Breakpoints::kMaxBreakpoints)
    return Error{Errc::kLimitExceeded,
                 "'" + pattern + "' names more functions than there may be breakpoints (256)"};
  for (const auto& [address, name] : *functions) {
    if (session.interrupt().raised()) return Error{Errc::kCancelled, "cancelled by the user"};
    Breakpoint breakpoint = like;
    breakpoint.address = address;
    breakpoint.symbolic = true;
    breakpoint.expression = "@!\"" + name + "\"";
    Result<Breakpoint*> added = session.breakpoints().Add(std::move(breakpoint), std::nullopt, nullptr);
    if (!added) return added.error();
    std::string id = std::to_string((*added)->id);
    id.insert(0, id.size() < 3 ? 3 - id.size() : 0, ' ');
    report.Row("breakpoint",
               {{"id", static_cast<std::int64_t>((*added)->id)}, {"address", Hex{address}}, {"name", name}},
               id + ": " + session.Address(address) + " @!\"" + name + "\"");
  }
  return CommandFlow::kPrompt;
}

}  // namespace

void AddBreakpointEditCommands(CommandTable& table) {
  table.Add({{"bm"},
             "bm [OPTIONS] [MODULE!]PATTERN [PASSES] [\"COMMANDS\"]",
             "Sets a breakpoint at each function that matches a pattern; options as of bp.",
             SetMany});
  table.Add(
      {{"bs"},
       "bs ID [\"COMMANDS\"]",
       "Replaces or removes the commands of a breakpoint.",
       [](Session& session, Arguments& arguments, Report&) { return SetCommands(session, arguments, false); },
       false,
       false});
  table.Add(
      {{"bsc"},
       "bsc ID \"CONDITION\" [\"COMMANDS\"]",
       "Replaces the condition and the commands of a breakpoint.",
       [](Session& session, Arguments& arguments, Report&) { return SetCommands(session, arguments, true); },
       false,
       false});
  table.Add({{"br"},
             "br OLD NEW [OLD NEW]...",
             "Gives breakpoints other ids.",
             [](Session& session, Arguments& arguments, Report&) { return Renumber(session, arguments); },
             false,
             false});
  table.Add({{".bpcmds"},
             ".bpcmds",
             "Shows the commands that set the breakpoints again.",
             ShowAsCommands,
             false,
             false});
}

}  // namespace longwire
