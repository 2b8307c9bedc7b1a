#pragma once

#include <chrono>
#include <string>

#include "proto/error.h"
#include "transport/endpoint_environment.h"

namespace longwire {

/// `-QR HOST` (remote-debugging.md section 6), the same for every debugger of the suite.
struct ServersQuery {
  std::string host;                         ///< as typed, leading backslashes included
  bool include_stale = false;               ///< -QRa
  bool json = false;                        ///< --json
  std::chrono::milliseconds limit{15'000};  ///< for another machine's answer
};

/// The listing, ready to print: the heading `Servers on HOST:` and a line per server, or one line of JSON
///   {"host":"HOST","servers":[{"type":"Remote Process Server","endpoint":"tcp:Port=1025","pid":...},...]}
/// Reads this machine's registry, or asks the `kd` of another machine through ssh; `_DBG_PIPE_RSH` (words
/// separated by blanks, no shell) replaces the ssh command, and gets the host and the command as further
/// arguments. Blocks. Errors: kUsage (no host name), kUnreachable, kTimedOut, kNotFound (no kd there),
/// kMalformed, kLimitExceeded.
Result<std::string> ListServers(const ServersQuery& query, const Environment& environment);

}  // namespace longwire
