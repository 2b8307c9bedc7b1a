#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"
#include "transport/endpoint.h"
#include "transport/endpoint_environment.h"

namespace longwire {

/// The registry of the servers of one machine (remote-debugging.md section 6): one small JSON file per
/// server, in a machine-wide directory that the group `debugger` may write, or in one of the user's own.
enum class ServerType : std::uint8_t { kDebugger, kProcess, kKernel };

/// "Debugger Server", "Remote Process Server", "Remote Kernel Debugger Server": in listings and in the files.
std::string_view ServerTypeName(ServerType type);

/// What a listing says of one server. Texts of an entry that was read hold no control characters.
struct ServerEntry {
  ServerType type = ServerType::kKernel;
  std::string endpoint;          ///< FormatEndpoint() of what the server listens on, password masked
  pid_t pid = 0;                 ///< of the server
  std::uint64_t start_time = 0;  ///< of that process, in clock ticks since boot (field 22 of /proc/PID/stat)
  std::string owner;             ///< user name
  std::string pool, note;        ///< free text of the administrator, may be empty
  bool stale = false;            ///< the process has ended, or its id means another process now
};

/// Where entries are kept. `shared` comes first; a server that cannot write there falls back to `own`.
struct DirectoryPaths {
  std::string shared;                  ///< machine-wide
  std::string own;                     ///< this user's
  std::vector<std::string> also_read;  ///< where this user's servers with another environment write
};

/// /run/longwire-servers (LONGWIRE_SERVERS_DIRECTORY names another), and `longwire-servers` in the user's
/// runtime directory.
DirectoryPaths ServerDirectories(const Environment& environment);

/// The entry of a server of this process; nullopt if it is not to be listed (`hidden`, `clicon`). `endpoint`
/// has the port or pipe name really in use. Overlong pool and note texts are cut.
std::optional<ServerEntry> MakeServerEntry(ServerType type, const Endpoint& endpoint,
                                           std::string_view pool = {}, std::string_view note = {});

/// An entry as JSON object on one line, and back. Reading takes any text: nullopt unless every member is
/// there, within its limits, and the endpoint shows no password. `stale` is written and read, `host` and
/// others are ignored.
std::string FormatServerEntry(const ServerEntry& entry);
std::optional<ServerEntry> ParseServerEntry(std::string_view json);

/// Text of others without what could steer a terminal: control characters become '?'.
std::string PrintableText(std::string_view text);

/// The servers of this machine, in a stable order. Files that are no entries, that are too large, or that
/// belong to another user than the process they name are passed over, as are links. At most 4096 files a
/// directory are looked at. `include_stale` keeps entries whose process is gone.
std::vector<ServerEntry> ReadServerDirectories(const DirectoryPaths& paths, bool include_stale);

/// A server's line in the registry for as long as this object lives. A server that cannot be listed runs on:
/// the notice tells its user so, once. A child after fork() does not remove the entry. Not thread-safe.
class ScopedDirectoryEntry {
 public:
  ScopedDirectoryEntry() = default;  ///< nothing listed
  /// Writes the file whole or not at all. Removes files that ended servers of this user left, but for the
  /// latest 16.
  ScopedDirectoryEntry(const ServerEntry& entry, const DirectoryPaths& paths);
  ScopedDirectoryEntry(ScopedDirectoryEntry&& other) noexcept;
  ScopedDirectoryEntry& operator=(ScopedDirectoryEntry&& other) noexcept;
  ~ScopedDirectoryEntry();

  bool listed() const { return directory_ >= 0; }
  /// One sentence with the next step; empty if every user of the machine can find the server.
  const std::string& notice() const { return notice_; }

 private:
  bool WriteTo(int directory, const ServerEntry& entry);
  void Remove() noexcept;

  int directory_ = -1;  ///< descriptor of the directory that holds the file, owned
  std::string name_;    ///< of the file in it
  pid_t process_ = 0;   ///< that wrote it
  std::string notice_;
};

}  // namespace longwire
