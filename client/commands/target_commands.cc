#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "client/commands/command.h"
#include "client/commands/processor_text.h"
#include "client/commands/target_text.h"
#include "client/engine/breakpoints.h"
#include "client/engine/event_filters.h"
#include "client/engine/thread_context.h"

namespace longwire {
namespace {

Result<CommandFlow> ShowTarget(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  if (!session.target().description()) return Error{Errc::kTargetOffline, "the target has not answered yet"};
  ReportTargetVersion(session, report);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ShowVersion(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  ReportTargetVersion(session, report);
  report.Row("version", {{"software", std::string("longwire")}, {"version", std::string(LONGWIRE_VERSION)}},
             "Longwire kd " LONGWIRE_VERSION "\n" + session.target().SessionName());
  return CommandFlow::kPrompt;
}

/// `~`, `~*`, `~N`, `~Ns`; what runs a command on a processor never comes here.
Result<CommandFlow> Processors(Session& session, Arguments& arguments, Report& report) {
  std::string text = arguments.TakeRest();
  if (text.empty() || text == "*") {
    for (std::uint32_t processor = 0; processor < ProcessorCount(session); ++processor)
      ReportProcessor(session, processor, report);
    return CommandFlow::kPrompt;
  }
  if (text.back() == 's' || text.back() == 'S') text.pop_back();
  while (!text.empty() && text.back() == ' ') text.pop_back();
  Result<std::uint32_t> processor = FindProcessor(session, text);
  if (!processor) return processor.error();
  session.SelectProcessor(*processor);
  return CommandFlow::kPrompt;
}

void WarnOfUserModules(Session& session) {
  session.Note(
      "WARNING: /r is ignored: user-mode modules are not listed yet, so their symbols are not loaded\n");
}

/// User memory is read as this process sees it from now on.
Result<void> EnterProcess(Session& session, std::uint64_t process) {
  std::optional<std::uint64_t> offset = session.DebuggerData(0x2AE, 2);  // EProcess DirectoryTableBase
  if (!offset || *offset == 0) {
    return Error{Errc::kNotFound,
                 "the target has no debugger data block, so the page directory cannot be found"};
  }
  Result<std::uint64_t> directory = session.ReadPointer(process + *offset);
  if (!directory) return directory.error();
  session.SelectProcess(process, *directory);
  return {};
}

/// The process a thread runs in.
Result<void> EnterProcessOf(Session& session, std::uint64_t thread) {
  std::optional<std::uint64_t> offset = session.DebuggerData(0x2A0, 2);  // KThread ApcProcess
  if (!offset || *offset == 0) {
    return Error{Errc::kNotFound,
                 "the target has no debugger data block, so the thread's process cannot be found"};
  }
  Result<std::uint64_t> process = session.ReadPointer(thread + *offset);
  if (!process) return process.error();
  return EnterProcess(session, *process);
}

Result<CommandFlow> SelectProcess(Session& session, Arguments& arguments, Report& report) {
  bool invasive = false;
  while (true) {
    if (arguments.Option("/i"))
      invasive = true;
    else if (arguments.Option("/r"))
      WarnOfUserModules(session);
    else if (!arguments.Option("/p") && !arguments.Option("/P"))
      break;
  }
  if (invasive) {
    return Error{Errc::kUnsupported,
                 "^ .process /i is not supported yet; .process /p ADDRESS reads the process's memory"};
  }
  bool reset = arguments.AtEnd();
  if (!reset) {
    Result<std::uint64_t> process = arguments.Address();
    if (!process) return process.error();
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    if (*process == 0) {
      session.ResetProcess();
    } else if (Result<void> entered = EnterProcess(session, *process); !entered) {
      return entered.error();
    }
  }
  std::uint64_t process = session.selected_process();
  if (process == 0) {
    Result<std::uint64_t> current = session.Evaluate("@$proc");
    if (!current) return current.error();
    process = *current;
  }
  report.Row("process",
             {{"process", Hex{process}}, {"directory_base", Hex{session.address_space().directory_base}}},
             "Implicit process is now " + session.Address(process));
  return CommandFlow::kPrompt;
}

Result<CommandFlow> SelectThread(Session& session, Arguments& arguments, Report& report) {
  bool with_process = false;
  while (true) {
    if (arguments.Option("/p") || arguments.Option("/P"))
      with_process = true;
    else if (arguments.Option("/r"))
      WarnOfUserModules(session);
    else
      break;
  }
  if (arguments.AtEnd()) {
    session.SelectThread(0);
    session.ResetScope();
    if (with_process) session.ResetProcess();
  } else {
    Result<std::uint64_t> thread = arguments.Address();
    if (!thread) return thread.error();
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    Result<RegisterSet> registers = ThreadRegisters(session, *thread);
    if (!registers) return registers.error();
    if (with_process) {
      if (Result<void> entered = EnterProcessOf(session, *thread); !entered) return entered.error();
    }
    session.SelectThread(*thread);
    session.SetScope(std::move(*registers), 0);
  }
  Result<std::uint64_t> implied = session.ProcessorThread(session.processor());
  if (session.selected_thread() == 0 && !implied) return implied.error();
  const std::uint64_t now = session.selected_thread() != 0 ? session.selected_thread() : *implied;
  report.Row("thread", {{"thread", Hex{now}}}, "Implicit thread is now " + session.Address(now));
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ShowBugcheck(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  rpc::Bugcheck bugcheck;
  if (session.target().stop()->bugcheck) {
    bugcheck = *session.target().stop()->bugcheck;
  } else if (std::optional<std::uint64_t> data = session.DebuggerData(0x88); data && *data != 0) {
    Result<std::uint64_t> code = session.ReadPointer(*data);
    if (!code) return code.error();
    bugcheck.code = static_cast<std::uint32_t>(*code);
    for (unsigned i = 0; i < 4; ++i) {
      Result<std::uint64_t> parameter =
          session.ReadPointer(*data + (i + 1) * std::uint64_t{session.pointer_size()});
      if (!parameter) return parameter.error();
      bugcheck.parameters[i] = *parameter;
    }
  }
  char code[48];
  std::snprintf(code, sizeof code, "Bugcheck code %08X\nArguments", bugcheck.code);
  std::string text = code;
  for (std::uint64_t parameter : bugcheck.parameters) text += " " + session.Address(parameter);
  report.Row("bugcheck",
             {{"code", Hex{bugcheck.code}},
              {"parameter1", Hex{bugcheck.parameters[0]}},
              {"parameter2", Hex{bugcheck.parameters[1]}},
              {"parameter3", Hex{bugcheck.parameters[2]}},
              {"parameter4", Hex{bugcheck.parameters[3]}}},
             text);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ShowLastEvent(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const auto& stop = session.last_stop();
  if (!stop) return Error{Errc::kNotFound, "there has been no event yet"};
  std::string text = stop->reason == rpc::StopEvent::Reason::kException
                         ? DescribeException(session.filters(), stop->exception)
                     : stop->reason == rpc::StopEvent::Reason::kModule ? "Load module"
                                                                       : "Command from the target";
  report.Row("event",
             {{"code", Hex{stop->exception.code}},
              {"address", Hex{stop->program_counter}},
              {"processor", static_cast<std::int64_t>(stop->processor)},
              {"description", text}},
             "Last event: " + text + "\n  debugger time: " + HostTime());
  return CommandFlow::kPrompt;
}

/// `.exr -1`; `.exr ADDRESS` reads an EXCEPTION_RECORD64.
Result<rpc::ExceptionRecord> TakeExceptionRecord(Session& session, Arguments& arguments) {
  if (arguments.Option("-1")) return session.target().stop()->exception;
  Result<std::uint64_t> address = arguments.Address();
  if (!address) return address.error();
  unsigned pointer = session.pointer_size();
  rpc::ExceptionRecord record;
  std::uint64_t count = 0;
  struct {
    std::uint64_t offset;
    unsigned size;
    std::uint64_t value;
  } fields[] = {{0, 4, 0}, {4, 4, 0}, {8, pointer, 0}, {8 + pointer, pointer, 0}, {8 + 2 * pointer, 4, 0}};
  for (auto& field : fields) {
    Result<std::uint64_t> value = session.ReadUnsigned(*address + field.offset, field.size);
    if (!value) return value.error();
    field.value = *value;
  }
  record.code = static_cast<std::uint32_t>(fields[0].value);
  record.flags = static_cast<std::uint32_t>(fields[1].value);
  record.record = fields[2].value;
  record.address = fields[3].value;
  count = std::min<std::uint64_t>(fields[4].value, 15);
  std::uint64_t first = *address + (pointer == 8 ? 0x20 : 0x14);
  for (std::uint64_t i = 0; i < count; ++i) {
    Result<std::uint64_t> parameter = session.ReadPointer(first + i * pointer);
    if (!parameter) return parameter.error();
    record.parameters.push_back(*parameter);
  }
  return record;
}

Result<CommandFlow> ShowException(Session& session, Arguments& arguments, Report& report) {
  Result<rpc::ExceptionRecord> record = TakeExceptionRecord(session, arguments);
  if (!record) return record.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  int width = static_cast<int>(session.pointer_size() * 2);
  char text[200];
  std::string name = session.NameOf(record->address);
  std::snprintf(text, sizeof text, "ExceptionAddress: %0*" PRIx64, width, record->address);
  std::string lines = text + (name.empty() ? std::string() : " (" + name + ")") + "\n";
  const EventFilter* filter = session.filters().ForException(record->code);
  std::snprintf(text, sizeof text, "   ExceptionCode: %08x", record->code);
  lines += text + (filter && filter->code ? " (" + filter->description + ")" : std::string()) + "\n";
  std::snprintf(text, sizeof text, "  ExceptionFlags: %08x\nNumberParameters: %zu", record->flags,
                record->parameters.size());
  lines += text;
  for (std::size_t i = 0; i < record->parameters.size(); ++i) {
    std::snprintf(text, sizeof text, "\n   Parameter[%zu]: %0*" PRIx64, i, width, record->parameters[i]);
    lines += text;
  }
  if (record->code == 0xc0000005 && record->parameters.size() >= 2) {
    const char* what = record->parameters[0] == 0   ? "Attempt to read from address"
                       : record->parameters[0] == 1 ? "Attempt to write to address"
                                                    : "Attempt to execute non-executable address";
    std::snprintf(text, sizeof text, "\n%s %0*" PRIx64, what, width, record->parameters[1]);
    lines += text;
  }
  report.Row("exception",
             {{"code", Hex{record->code}}, {"address", Hex{record->address}}, {"flags", Hex{record->flags}}},
             lines);
  return CommandFlow::kPrompt;
}

Result<CommandFlow> Reboot(Session& session, Arguments&, Report&) {
  if (Result<void> done = session.target().Reboot(); !done) return done.error();
  return CommandFlow::kRunning;
}

Result<CommandFlow> Crash(Session& session, Arguments&, Report&) {
  if (Result<void> done = session.target().Crash(); !done) return done.error();
  return CommandFlow::kRunning;
}

Result<CommandFlow> Restart(Session& session, Arguments&, Report&) {
  if (Result<void> done = session.target().Resynchronize(); !done) return done.error();
  return CommandFlow::kRunning;
}

Result<CommandFlow> ListFilters(Session& session, Arguments&, Report& report) {
  for (const EventFilter& filter : session.filters().filters()) {
    std::string line = filter.name;
    if (line.size() < 4) line.resize(4, ' ');
    line += " - " + filter.description + " - " + std::string(FilterModeName(filter.mode));
    const bool exception = filter.code || filter.name == "*";
    if (exception) line += filter.handled ? " - handled" : " - not handled";
    if (!filter.argument.empty()) line += "\n       (only break for " + filter.argument + ")";
    if (!filter.commands.empty()) line += "\n       Command: \"" + filter.commands + "\"";
    if (!filter.second_commands.empty())
      line += "\n       Second command: \"" + filter.second_commands + "\"";
    Fields fields = {{"name", filter.name},
                     {"mode", std::string(FilterModeName(filter.mode))},
                     {"argument", filter.argument},
                     {"commands", filter.commands},
                     {"second_commands", filter.second_commands}};
    if (exception) fields.push_back({"handled", filter.handled});
    report.Row("filter", std::move(fields), line);
  }
  return CommandFlow::kPrompt;
}

/// Commands in quotes.
Result<std::string> TakeQuoted(Arguments& arguments, std::string_view option) {
  arguments.SkipBlanks();
  const std::string_view rest = arguments.rest();
  const std::size_t end = rest.starts_with('"') ? rest.find('"', 1) : std::string_view::npos;
  if (end == std::string_view::npos) return SyntaxError(std::string(option) + " " + std::string(rest));
  std::string commands(rest.substr(1, end - 1));
  arguments.text().remove_prefix(end + 1);
  return commands;
}

struct FilterOptions {
  std::optional<std::string> commands, second_commands;
  bool handling = false;  ///< -h: how the exception goes back is set, not whether it stops
};

Result<FilterOptions> TakeFilterOptions(Arguments& arguments) {
  FilterOptions options;
  while (true) {
    if (arguments.Option("-h")) {
      options.handling = true;
      continue;
    }
    const bool second = arguments.Option("-c2");
    if (!second && !arguments.Option("-c")) return options;
    Result<std::string> commands = TakeQuoted(arguments, second ? "-c2" : "-c");
    if (!commands) return commands.error();
    (second ? options.second_commands : options.commands) = std::move(*commands);
  }
}

Result<CommandFlow> SetFilter(Session& session, Arguments& arguments, FilterMode mode) {
  Result<FilterOptions> options = TakeFilterOptions(arguments);
  if (!options) return options.error();
  std::string name(arguments.Word());
  std::string argument;
  if (std::size_t colon = name.find(':'); colon != std::string::npos) {
    argument = name.substr(colon + 1);
    name.resize(colon);
  }
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  EventFilter* filter = name.empty() ? nullptr : session.filters().FindOrAdd(name);
  if (!filter) return Error{Errc::kUsage, "^ Invalid event name error in '" + name + "'; sx lists the names"};
  if (options->handling) {
    if (!filter->code && filter->name != "*")
      return Error{Errc::kUsage, "^ -h is for exceptions, and '" + name + "' is none"};
    filter->handled = mode == FilterMode::kBreak;
    if (options->commands) filter->commands = std::move(*options->commands);
    if (options->second_commands) filter->second_commands = std::move(*options->second_commands);
    return CommandFlow::kPrompt;
  }
  filter->mode = mode;
  filter->argument = std::move(argument);
  filter->commands = options->commands.value_or("");
  filter->second_commands = options->second_commands.value_or("");
  if (Result<void> done = session.breakpoints().AskForModuleStops(); !done) return done.error();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ResetFilters(Session& session, Arguments&, Report&) {
  session.filters().Reset();
  if (Result<void> done = session.breakpoints().AskForModuleStops(); !done) return done.error();
  return CommandFlow::kPrompt;
}

}  // namespace

void AddTargetCommands(CommandTable& table) {
  table.Add({{"vertarget"}, "vertarget", "Shows what is debugged.", ShowTarget, false, false});
  table.Add({{"version"}, "version", "Shows what is debugged, and with what.", ShowVersion, false, false});
  table.Add(
      {{"~"},
       "~ | ~N[s] | ~N|.|#|* [e] COMMAND",
       "Lists or selects processors, or runs a command on one or all; . is the selected one, # the one that "
       "stopped.",
       Processors});
  table.Add({{".process"},
             ".process [/p [/r]] [EPROCESS]",
             "Selects the process whose memory is read.",
             SelectProcess});
  table.Add({{".thread"},
             ".thread [/p [/r]] [KTHREAD]",
             "Selects the thread whose registers are shown.",
             SelectThread});
  table.Add({{".bugcheck"}, ".bugcheck", "Shows the bug check code and its arguments.", ShowBugcheck});
  table.Add({{".lastevent"}, ".lastevent", "Shows the last event.", ShowLastEvent, false, false});
  table.Add({{".exr"}, ".exr -1|ADDRESS", "Shows an exception record.", ShowException});
  table.Add({{".reboot"}, ".reboot", "Restarts the target.", Reboot});
  table.Add({{".crash"}, ".crash", "Makes the target bug-check.", Crash});
  table.Add({{".restart"}, ".restart", "Synchronizes the link again.", Restart, false, false});
  table.Add({{"sx"}, "sx", "Lists the event filters.", ListFilters, false, false});
  const auto add = [&](const char* name, const char* help, FilterMode mode) {
    table.Add({{name},
               std::string(name) + " [-c \"COMMANDS\"] [-c2 \"COMMANDS\"] [-h] EVENT[:ARGUMENT]",
               help,
               [mode](Session& session, Arguments& arguments, Report&) {
                 return SetFilter(session, arguments, mode);
               },
               false,
               false});
  };
  add("sxe", "Stops at an event; with -h, the exception counts as handled.", FilterMode::kBreak);
  add("sxd", "Stops at the second chance of an event; with -h, the exception goes on to the target.",
      FilterMode::kSecondChance);
  add("sxn", "Tells about an event and goes on; -h as with sxd.", FilterMode::kNotify);
  add("sxi", "Ignores an event; -h as with sxd.", FilterMode::kIgnore);
  table.Add({{"sxr"}, "sxr", "Puts the event filters back to their defaults.", ResetFilters, false, false});
}

}  // namespace longwire
