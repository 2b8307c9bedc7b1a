#include <poll.h>

#include <algorithm>
#include <cctype>
#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "client/commands/command.h"

namespace longwire {
namespace {

constexpr std::size_t kMaxScriptBytes = 1u << 20;

Result<CommandFlow> Echo(Session&, Arguments& arguments, Report& report) {
  std::string text = arguments.TakeRest();
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  report.Line(text);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Sleep(Session& session, Arguments& arguments, Report&) {
  Result<std::uint64_t> milliseconds = arguments.Expression();
  if (!milliseconds) return milliseconds.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  constexpr std::uint64_t kLongest = 24u * 3600 * 1000;
  pollfd watched{session.interrupt().descriptor(), POLLIN, 0};
  if (poll(&watched, 1, static_cast<int>(std::min(*milliseconds, kLongest))) > 0) {
    return Error{Errc::kCancelled, "sleep ended by Ctrl-C"};
  }
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Quit(Session&, Arguments&, Report&) { return CommandFlow::kQuit; }
Result<CommandFlow> QuitDetach(Session&, Arguments&, Report&) { return CommandFlow::kQuitDetach; }

Result<CommandFlow> EndServer(Session& session, Arguments& arguments, Report&) {
  bool force = arguments.Option("/f");
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  if (Result<void> done = session.target().EndServer(force); !done) return done.error();
  return CommandFlow::kServerEnded;
}

/// Script files (engine.md 2.10): their lines run as if typed.
Result<CommandFlow> RunScript(Session& session, Arguments& arguments, Report&) {
  std::string path = arguments.TakeRest();
  if (path.empty()) return Error{Errc::kUsage, "a script command needs a file: $<FILE"};
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{Errc::kNotFound, "Command file '" + path + "' cannot be read; check the path"};
  if (text.str().size() > kMaxScriptBytes)
    return Error{Errc::kLimitExceeded, "Command file '" + path + "' is larger than 1 MiB"};
  session.QueueCommands(text.str());
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Help(const CommandTable& table, Arguments& arguments, Report& report) {
  std::string name = arguments.TakeRest();
  if (!name.empty() && !table.Find(name))
    return Error{Errc::kNotFound, "There is no command '" + name + "'; .help lists them"};
  std::vector<const Command*> commands;
  for (const Command& command : table.commands()) {
    if (name.empty() || &command == table.Find(name)) commands.push_back(&command);
  }
  std::stable_sort(commands.begin(), commands.end(),
                   [](const Command* a, const Command* b) { return a->names.front() < b->names.front(); });
  for (const Command* command : commands) {
    report.Row("command", {{"names", command->names}, {"grammar", command->grammar}, {"help", command->help}},
               command->grammar + "\n    " + command->help);
  }
  return CommandFlow::kPrompt;
}

}  // namespace

void AddConsoleCommands(CommandTable& table) {
  table.Add({{".echo"}, ".echo TEXT | .echo \"TEXT\"", "Prints a text.", Echo, false, false});
  table.Add(
      {{".sleep"}, ".sleep MILLISECONDS", "Waits; the number is in the default radix.", Sleep, false, false});
  table.Add({{"q", "qq"}, "q", "Leaves; the target stays as it is.", Quit, false, false});
  table.Add({{"qd"}, "qd", "Leaves and lets the target run.", QuitDetach, false, false});
  table.Add({{".endpsrv"}, ".endpsrv [/f]", "Ends the KD connection server.", EndServer, false, false});
  table.Add(
      {{"$<", "$><", "$$<", "$$><"}, "$<FILE", "Runs the commands of a file.", RunScript, false, false});
  // The table is asked when the command runs, so it lists what was added later too; it outlives its commands.
  table.Add(
      {{".help"},
       ".help [COMMAND]",
       "Lists commands.",
       [&table](Session&, Arguments& arguments, Report& report) { return Help(table, arguments, report); },
       false,
       false});
}

}  // namespace longwire
