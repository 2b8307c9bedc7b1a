#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"
#include "transport/endpoint.h"
#include "transport/kernel_string.h"

namespace longwire {

/// What `kd` was asked for (remote-debugging.md 3.5, 4.7, 4.8). Options win over the environment.
struct KdOptions {
  enum class Action : std::uint8_t { kDebug, kHelp, kVersion, kQueryServers, kRegisterUrl, kWake };
  enum class Session : std::uint8_t { kKernel, kLocalKernel, kDump, kRemoteClient };
  enum class RebootBreak : std::uint8_t { kNone, kInitialization, kFirstModule };
  struct Log {
    std::string path;
    bool append = false;
    bool unicode = false;
  };

  Action action = Action::kDebug;
  std::string action_argument;  ///< -QR host as typed, -iu URL, -wake pid
  bool stale_servers = false;   ///< -QRa: list entries of servers that ended, too

  Session session = Session::kKernel;
  KernelString kernel;             ///< kKernel; empty `trans` and no server: everything from the environment
  std::vector<std::string> dumps;  ///< kDump
  std::optional<std::string> page_file;
  std::optional<Endpoint> server;  ///< -server
  std::optional<Endpoint> remote;  ///< -remote

  bool break_on_connect = false;  ///< -bonc
  RebootBreak reboot_break = RebootBreak::kNone;
  bool modem = false;
  bool quiet = false;                 ///< -kqm, KDQUIET
  bool ignore_versions = false;       ///< -myob, NOVERSIONCHECK
  bool no_extension_warning = false;  ///< NOEXTWARNING
  bool no_io = false, no_shell = false, secure = false;
  std::uint32_t history_lines = 1000;
  std::uint64_t cache_bytes = 1'024'000;

  std::vector<std::string> commands;                  ///< -c and what -x adds, in order
  std::optional<std::string> script, restart_script;  ///< -cf, -cfr
  std::optional<Log> log;
  std::string default_extension;                                     ///< -aEXT, empty: the program's own
  std::string symbol_path, image_path, source_path, extension_path;  ///< directories separated by ';'
  std::string symbol_proxy, driver_map_file;
  bool source_lines = false, noisy_symbols = false, no_deferred_symbols = false, strict_symbols = false;
  std::vector<std::string> symbol_switches;   ///< "sdce", "ses", ... as given, lower case
  std::optional<std::uint32_t> symbol_flags;  ///< -sflags
  std::string evaluator = "masm";             ///< "masm" or "c++"
  bool show_registers = false, verbose = false;
  int error_level = 1;

  std::optional<std::uint32_t> wait_seconds;  ///< --wait: give up when no target answered within this time
  bool json = false;                          ///< --json
  bool doctor = false;                        ///< -doctor: examine the -k connection, begin no session
  bool open = false;                          ///< --open: unauthenticated -server beyond loopback
  /// --observe, --take, --queue: what to do about a link that somebody drives already.
  enum class Joining : std::uint8_t { kDrive, kObserve, kTake, kQueue };
  Joining joining = Joining::kDrive;
  std::optional<std::chrono::seconds> since;  ///< --since: show past output; 0: all of it
  std::chrono::seconds resume_wait{120};      ///< --resume-wait; 0: a lost connection is not dialled again

  std::vector<std::string> warnings;  ///< to be printed before the session starts
};

/// `words` is argv without the program's name. Errors are kUsage, one sentence, without secrets.
Result<KdOptions> ParseKdOptions(std::span<const std::string> words, const Environment& environment);
/// kUsage with "not supported yet" if the options ask for something this version parses but cannot do, and
/// the session would not be what the user wanted. Options that merely have no effect are in `warnings`.
Result<void> RefuseUnsupported(const KdOptions& options);
std::string_view KdUsage();

/// Fills in what only the environment says (4.8); called first, so that options win.
Result<void> ReadKdEnvironment(const Environment& environment, KdOptions& options);
/// `path` without the directories that do not exist; entries with `*` or `://` stay.
std::string DropMissingDirectories(std::string_view path);

}  // namespace longwire
