#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "client/commands/command.h"
#include "client/commands/number_text.h"
#include "client/engine/driver_files.h"
#include "client/engine/event_text.h"

namespace longwire {
namespace {

std::int64_t Number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

const char* StateName(rpc::TargetState state) {
  switch (state) {
    case rpc::TargetState::kHalted: return "halted";
    case rpc::TargetState::kRunning: return "running";
    case rpc::TargetState::kSynchronizing: return "synchronizing";
    case rpc::TargetState::kOffline: return "offline";
  }
  return "";
}

/// "halted, driven by me@here, 2 observers, 1 waits to drive".
std::string StateLine(const rpc::LinkStatus& status) {
  std::string line = std::string("State: ") + StateName(status.state);
  const std::string holder = EscapeTargetText(status.holder);
  if (!holder.empty()) line += ", driven by " + holder;
  if (status.lost) line += " (connection lost, kept for " + std::to_string(status.kept_ms / 1000) + " s)";
  if (status.observers > 0) line += ", " + std::to_string(status.observers) + " observers";
  if (status.waiting > 0) line += ", " + std::to_string(status.waiting) + " waiting to drive";
  return line;
}

Result<CommandFlow> LinkInformation(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  Result<rpc::LinkStatus> status = session.target().LinkStatus();
  if (!status) return status.error();
  const TargetCounters counters = session.target().counters();
  char text[640];
  std::snprintf(
      text, sizeof text,
      "Target: %" PRIu64 " bytes and %" PRIu64 " packets received, %" PRIu64 " bytes and %" PRIu64
      " packets sent, %" PRIu64
      " exchanges\n"
      "Line: %" PRIu64 " retransmissions, %" PRIu64 " resends, %" PRIu64 " resets, %" PRIu64
      " checksum errors\n"
      "Server: %" PRIu64 " requests in %" PRIu64 " round trips, %" PRIu64 " bytes received, %" PRIu64 " sent",
      status->bytes_received, status->packets_received, status->bytes_sent, status->packets_sent,
      status->exchanges, status->retransmissions, status->resends, status->resets, status->checksum_errors,
      counters.requests, counters.round_trips, counters.bytes_received, counters.bytes_sent);
  report.Row("link",
             {{"link", status->link},
              {"state", std::string(StateName(status->state))},
              {"holder", status->holder},
              {"observers", Number(status->observers)},
              {"waiting", Number(status->waiting)},
              {"lost", status->lost},
              {"baud", Number(status->baud)},
              {"target_bytes_received", Number(status->bytes_received)},
              {"target_bytes_sent", Number(status->bytes_sent)},
              {"packets_received", Number(status->packets_received)},
              {"packets_sent", Number(status->packets_sent)},
              {"exchanges", Number(status->exchanges)},
              {"retransmissions", Number(status->retransmissions)},
              {"resends", Number(status->resends)},
              {"resets", Number(status->resets)},
              {"checksum_errors", Number(status->checksum_errors)},
              {"requests", Number(counters.requests)},
              {"round_trips", Number(counters.round_trips)},
              {"bytes_received", Number(counters.bytes_received)},
              {"bytes_sent", Number(counters.bytes_sent)}},
             "Link: " + EscapeTargetText(status->link) + "\n" + StateLine(*status) + "\n" +
                 (status->baud != 0 ? "Speed: " + std::to_string(status->baud) + " baud\n" : "") + text);
  return CommandFlow::kPrompt;
}

// ---- .cache

void ShowCache(Session& session, Report& report) {
  const MemoryCacheStatus cache = session.target().memory_cache();
  const std::uint64_t reads = cache.reads_known + cache.reads_asked,
                      bytes = cache.bytes_known + cache.bytes_asked;
  auto percent = [](std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  char text[480];
  std::snprintf(text, sizeof text,
                "Max cache size is       %" PRIu64 " bytes (0x%" PRIx64
                " KB)%s\n"
                "Total memory in cache   %" PRIu64 " bytes (0x%" PRIx64
                " KB)\n"
                "Number of regions cached: %" PRIu64
                "\n"
                "    counts: %" PRIu64 " cached/%" PRIu64
                " uncached, %.2f%% cached\n"
                "    bytes : %" PRIu64 " cached/%" PRIu64 " uncached, %.2f%% cached",
                cache.limit_bytes, cache.limit_bytes / 1024, cache.limit_bytes == 0 ? " (disabled)" : "",
                cache.used_bytes, cache.used_bytes / 1024, cache.pages, cache.reads_known, cache.reads_asked,
                percent(cache.reads_known, reads), cache.bytes_known, cache.bytes_asked,
                percent(cache.bytes_known, bytes));
  report.Row("cache",
             {{"limit", Number(cache.limit_bytes)},
              {"used", Number(cache.used_bytes)},
              {"regions", Number(cache.pages)},
              {"reads_cached", Number(cache.reads_known)},
              {"reads_uncached", Number(cache.reads_asked)},
              {"bytes_cached", Number(cache.bytes_known)},
              {"bytes_uncached", Number(cache.bytes_asked)}},
             text);
}

Result<CommandFlow> Cache(Session& session, Arguments& arguments, Report& report) {
  if (arguments.AtEnd()) {
    ShowCache(session, report);
    return CommandFlow::kPrompt;
  }
  if (arguments.Option("flushall") || arguments.Option("flushu")) {
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    session.target().ForgetMemory();
    return CommandFlow::kPrompt;
  }
  if (arguments.Option("flush")) {
    if (Result<std::uint64_t> address = arguments.Expression(); !address) return address.error();
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    // One block would do; everything is never wrong.
    session.target().ForgetMemory();
    return CommandFlow::kPrompt;
  }
  for (const char* option : {"hold", "unhold", "decodeptes", "nodecodeptes", "forcedecodeptes",
                             "forcedecodeuser", "noforcedecodeptes"}) {
    if (!arguments.Option(option)) continue;
    return Error{Errc::kUnsupported,
                 std::string(".cache ") + option +
                     " is not supported: memory is kept for one stop, and the server walks page tables where "
                     ".process asks for it"};
  }
  Result<std::uint64_t> kilobytes = arguments.Expression();
  if (!kilobytes) return kilobytes.error();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  constexpr std::uint64_t kMostKilobytes = 1u << 20;
  session.target().LimitMemoryCache(std::min(*kilobytes, kMostKilobytes) * 1024);
  const MemoryCacheStatus cache = session.target().memory_cache();
  report.Row("cache", {{"limit", Number(cache.limit_bytes)}},
             cache.limit_bytes == 0 ? "Cache disabled"
                                    : "Max cache size is       " + std::to_string(cache.limit_bytes) +
                                          " bytes (0x" + HexDigits(cache.limit_bytes / 1024) + " KB)");
  return CommandFlow::kPrompt;
}

// ---- .kdfiles

Error NoAssociations(const Error& error) {
  return Error{error.code, "Unable to load file associations: " + error.message};
}

void ShowDriverFiles(const DriverFiles& files, Report& report) {
  if (files.map().empty()) {
    report.Line("No KD file associations");
    return;
  }
  report.Line(files.path().empty() ? "KD file associations"
                                   : "KD file associations from '" + files.path() + "'");
  for (const DriverFile& file : files.map()) {
    report.Row("driver_file", {{"target", file.target}, {"host", file.host}},
               EscapeTargetText(file.target) + " -> " + EscapeTargetText(file.host));
  }
}

Result<CommandFlow> MapDrivers(Session& session, Arguments& arguments, Report& report) {
  DriverFiles& files = session.driver_files();
  if (arguments.AtEnd()) {
    ShowDriverFiles(files, report);
    return CommandFlow::kPrompt;
  }
  if (arguments.Option("/c")) {
    if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
    files.Clear();
    report.Line("KD file associations cleared");
    return CommandFlow::kPrompt;
  }
  if (arguments.Option("/m")) {
    std::string target(arguments.Word()), host = arguments.TakeRest();
    if (host.empty()) return Error{Errc::kUsage, ".kdfiles -m needs the name on the target and a file here"};
    if (Result<void> added = files.Add({std::move(target), std::move(host)}); !added) return added.error();
    return CommandFlow::kPrompt;
  }
  const bool save = arguments.Option("/s");
  const std::string path = arguments.TakeRest();
  if (path.empty()) return Error{Errc::kUsage, ".kdfiles -s needs a file to write"};
  if (save) {
    if (Result<void> saved = files.Save(path); !saved) return saved.error();
    report.Line("KD file associations saved to '" + path + "'");
    return CommandFlow::kPrompt;
  }
  if (Result<void> loaded = files.Load(path); !loaded) return NoAssociations(loaded.error());
  report.Row("driver_map", {{"file", path}, {"associations", Number(files.map().size())}},
             "KD file associations loaded from '" + path + "'");
  return CommandFlow::kPrompt;
}

// ---- .ctrl

Result<CommandFlow> CycleRebootBreak(Session& session, Report& report) {
  RebootBreak next = RebootBreak::kNone;
  const char* text = "Will NOT breakin at next boot.";
  if (session.options().reboot_break == RebootBreak::kNone) {
    next = RebootBreak::kInitialization;
    text = "Will request initial breakpoint at next boot.";
  } else if (session.options().reboot_break == RebootBreak::kInitialization) {
    next = RebootBreak::kFirstModule;
    text = "Will breakin on first symbol load at next boot.";
  }
  rpc::Configure configure;
  configure.break_on_reboot = next != RebootBreak::kNone;
  if (Result<void> done = session.target().Configure(configure); !done) return done.error();
  session.options().reboot_break = next;
  report.Line(text);
  return CommandFlow::kPrompt;
}

/// Ctrl-A: the next faster of the four speeds kernels are started with, the slowest behind the fastest.
Result<CommandFlow> CycleLineSpeed(Session& session, Report& report) {
  constexpr std::uint32_t kSpeeds[] = {19200, 38400, 57600, 115200};
  Result<rpc::LinkStatus> status = session.target().LinkStatus();
  if (!status) return status.error();
  const auto* next = std::upper_bound(std::begin(kSpeeds), std::end(kSpeeds), status->baud);
  rpc::Configure configure;
  configure.baud = next == std::end(kSpeeds) ? kSpeeds[0] : *next;
  if (Result<void> done = session.target().Configure(configure); !done) return done.error();
  report.Row("line_speed", {{"baud", Number(*configure.baud)}},
             "The line runs at " + std::to_string(*configure.baud) + " baud.");
  return CommandFlow::kPrompt;
}

/// Control keys spelled out, for where a terminal or a pipe keeps them (remote-debugging.md 5.5).
Result<CommandFlow> ControlKey(Session& session, Arguments& arguments, Report& report) {
  const std::string_view key = arguments.Word();
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  if (EqualsIgnoringCase(key, "a")) return CycleLineSpeed(session, report);
  if (EqualsIgnoringCase(key, "k")) return CycleRebootBreak(session, report);
  if (EqualsIgnoringCase(key, "b")) return CommandFlow::kQuit;
  if (EqualsIgnoringCase(key, "r")) {
    if (Result<void> done = session.target().Resynchronize(); !done) return done.error();
    return CommandFlow::kRunning;
  }
  if (EqualsIgnoringCase(key, "v")) {
    session.options().verbose = !session.options().verbose;
    report.Line(session.options().verbose ? "Verbose mode ON." : "Verbose mode OFF.");
    return CommandFlow::kPrompt;
  }
  if (EqualsIgnoringCase(key, "d")) {
    rpc::Configure configure;
    configure.trace_packets = !session.options().trace_packets;
    if (Result<void> done = session.target().Configure(configure); !done) return done.error();
    session.options().trace_packets = *configure.trace_packets;
    report.Line(session.options().trace_packets ? "Packet trace ON." : "Packet trace OFF.");
    return CommandFlow::kPrompt;
  }
  if (EqualsIgnoringCase(key, "f")) {
    if (!session.halted()) session.target().BreakIn();
    return session.halted() ? CommandFlow::kPrompt : CommandFlow::kRunning;
  }
  return Error{Errc::kUsage,
               "^ Syntax error in '.ctrl " + std::string(key) + "'; the keys are A, B, D, F, K, R and V"};
}

}  // namespace

void AddLinkCommands(CommandTable& table) {
  table.Add({{".linkinfo"},
             ".linkinfo",
             "Shows what the link is doing: its state, counters and errors.",
             LinkInformation,
             false,
             false});
  table.Add({{".cache"},
             ".cache [KILOBYTES | flushall | flushu | flush ADDRESS]",
             "Shows, limits (0: disables) or empties what is remembered of the target's memory.",
             Cache,
             false,
             false});
  table.Add({{".kdfiles"},
             ".kdfiles [MAPFILE | -m NAME FILE | -s MAPFILE | -c]",
             "Gives the target files of this machine in place of its drivers.",
             MapDrivers,
             false,
             false});
  table.Add({{".ctrl"},
             ".ctrl A|B|D|F|K|R|V",
             "Does what a control key does: change the line speed, leave, trace packets, break in, cycle the "
             "break at the next boot, synchronize, verbose.",
             ControlKey,
             false,
             false});
}

}  // namespace longwire
