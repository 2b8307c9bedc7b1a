#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "client/commands/command.h"
#include "client/console/console.h"
#include "client/console/terminal_keys.h"
#include "client/engine/driver_files.h"
#include "client/engine/event_text.h"
#include "client/enumeration/enumeration.h"
#include "client/extensions/extension_host.h"
#include "client/kd/doctor.h"
#include "client/options/kd_options.h"
#include "client/target/connect.h"
#include "server/kd/local_service.h"
#include "transport/command_line.h"

using namespace longwire;

namespace {

Interrupt* g_interrupt = nullptr;  // for the signal handler; set before it is installed

int Fail(const Error& error) {
  // A server that has not proved who it is has words in some of these.
  std::fprintf(stderr, "kd: %s\n", EscapeTargetText(error.message).c_str());
  return error.code == Errc::kCancelled ? 130 : ExitCodeFor(error.code);
}

void AddAllCommands(CommandTable& table) {
  for (auto add :
       {AddMemoryCommands, AddExpressionCommands, AddRegisterCommands, AddDisassemblyCommands,
        AddStackCommands, AddTypeCommands, AddNameCommands, AddModuleCommands, AddSymbolPathCommands,
        AddRunCommands, AddBreakpointCommands, AddTargetCommands, AddMachineCommands, AddLinkCommands,
        AddExtensionCommands, AddLogCommands, AddRoleCommands, AddConsoleCommands}) {
    add(table);
  }
}

int PrintServers(const KdOptions& options) {
  const ServersQuery query{options.action_argument, options.stale_servers, options.json};
  const Result<std::string> listed = ListServers(query, ProcessEnvironment());
  if (!listed) return Fail(listed.error());
  return std::fputs(listed->c_str(), stdout) < 0;
}

RebootBreak RebootBreakOf(const KdOptions& options) {
  switch (options.reboot_break) {
    case KdOptions::RebootBreak::kNone: return RebootBreak::kNone;
    case KdOptions::RebootBreak::kInitialization: return RebootBreak::kInitialization;
    case KdOptions::RebootBreak::kFirstModule: return RebootBreak::kFirstModule;
  }
  return RebootBreak::kNone;
}

rpc::WhenBusy WhenBusyOf(KdOptions::Joining joining) {
  switch (joining) {
    case KdOptions::Joining::kDrive: break;
    case KdOptions::Joining::kObserve: return rpc::WhenBusy::kObserve;
    case KdOptions::Joining::kTake: return rpc::WhenBusy::kTake;
    case KdOptions::Joining::kQueue: return rpc::WhenBusy::kQueue;
  }
  return rpc::WhenBusy::kRefuse;
}

/// What becomes of the connection, and of the place in the line, on the console.
void ShowConnection(ConnectOptions& connect, ConsoleOutput& output) {
  connect.news = [&output](const ConnectionNews& news) {
    output.Announce("connection", {{"state", std::string(ConnectionNewsName(news.kind))}},
                    "kd: " + news.text);
  };
  connect.queued = [&output](const rpc::LinkQueued& place) {
    output.Announce("queued",
                    {{"position", static_cast<std::int64_t>(place.position)}, {"holder", place.holder}},
                    "kd: " +
                        (place.holder.empty() ? "another client is opening the link"
                                              : place.holder + " drives " + place.link) +
                        "; place " + std::to_string(place.position) + " in the line, Ctrl-C leaves it");
  };
}

int Debug(const KdOptions& options, Interrupt& interrupt) {
  ConsoleOutput output(stdout, stderr, options.json);
  ConnectOptions connect;
  ShowConnection(connect, output);
  connect.observe = options.joining == KdOptions::Joining::kObserve;
  connect.when_busy = WhenBusyOf(options.joining);
  connect.since = options.since;
  connect.resume_wait = options.resume_wait;
  connect.break_in =
      options.break_on_connect || options.reboot_break == KdOptions::RebootBreak::kInitialization;
  connect.break_on_reboot = options.reboot_break != KdOptions::RebootBreak::kNone;
  connect.software = "longwire " LONGWIRE_VERSION;
  connect.serve_locally = [](Executor executor, std::unique_ptr<Stream> stream) {
    return StartLocalService(executor, std::move(stream));
  };
  connect.open = options.open;
  connect.notice = [](const std::string& line) { std::fprintf(stderr, "kd: %s\n", line.c_str()); };
  Result<std::unique_ptr<Target>> target = ConnectTarget(options.kernel, connect, interrupt);
  if (!target) return Fail(target.error());

  SessionOptions engine{options.symbol_path, options.image_path,    options.noisy_symbols,
                        options.verbose,     options.source_lines,  options.quiet,
                        options.source_path, RebootBreakOf(options)};
  Session session(**target, interrupt, engine, [&](std::string_view text) { output.Note(text); });
  if (options.log) {
    const SessionLog::Options log{options.log->append, options.log->unicode};
    if (Result<void> opened = session.log().Open(options.log->path, log); !opened)
      return Fail(opened.error());
  }
  if (!options.driver_map_file.empty()) {
    if (Result<void> loaded = session.driver_files().Load(options.driver_map_file); !loaded)
      std::fprintf(stderr, "kd: _NT_KD_FILES: %s\n", loaded.error().message.c_str());
  }
  session.set_extensions(std::make_shared<ExtensionHost>(session));
  CommandTable table;
  AddAllCommands(table);
  const TerminalKeys keys(STDIN_FILENO);
  LineInput input(STDIN_FILENO, interrupt);
  ConsoleOptions console{options.commands, options.script, options.wait_seconds,
                         "Longwire kd " LONGWIRE_VERSION "\nConnected to " + (*target)->SessionName() + "\n"};
  return Console(session, table, output, input, std::move(console)).Run();
}

}  // namespace

int main(int argc, char** argv) {
  OpenMissingStandardFiles();
  std::vector<std::string> words(argv + 1, argv + argc);
  ScrubArguments(argc, argv);
  Result<KdOptions> options = ParseKdOptions(words, ProcessEnvironment());
  if (!options) return Fail(options.error());
  for (const std::string& warning : options->warnings) std::fprintf(stderr, "kd: %s\n", warning.c_str());
  if (options->action == KdOptions::Action::kHelp) return std::fputs(KdUsage().data(), stdout) < 0;
  if (options->action == KdOptions::Action::kVersion) return std::puts("kd " LONGWIRE_VERSION) < 0;
  if (Result<void> supported = RefuseUnsupported(*options); !supported) return Fail(supported.error());
  if (options->action == KdOptions::Action::kQueryServers) return PrintServers(*options);
  if (options->doctor) return DiagnoseKernel(*options, "longwire " LONGWIRE_VERSION);
  Interrupt interrupt;
  g_interrupt = &interrupt;
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupt->Raise(); };
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away shows up as a failed write
  return Debug(*options, interrupt);
}
