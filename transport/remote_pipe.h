#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "transport/endpoint_environment.h"
#include "transport/stream.h"

namespace longwire {

/// What `kdsrv --connect-pipe` says first, so that a login script's text is not taken for the server's.
inline constexpr std::string_view kPipeGreeting = "longwire-pipe 1\n";

/// A pipe of another machine (remote-debugging.md 2.9): runs ssh, or the words of _DBG_PIPE_RSH, which there
/// runs `kdsrv --connect-pipe NAME`; its input and output are the stream. The command ends with the stream.
/// `host` and `pipe` have passed the checks of an Endpoint, so nothing in them means something to a shell.
/// Errors quote what the command complained about: kUnreachable, kNotFound, kTimedOut, kMalformed.
Awaitable<Result<std::unique_ptr<Stream>>> DialRemotePipe(Executor executor, std::string host,
                                                          std::string pipe, Environment environment,
                                                          std::chrono::milliseconds limit);

/// How far one attempt got.
struct RemotePipeTry {
  enum class End : std::uint8_t {
    kConnected,
    kBroken,       ///< this machine could not begin
    kNotStarted,   ///< there is no such program
    kSilent,       ///< it runs and says nothing
    kForeignText,  ///< something else than kdsrv's greeting came
    kEnded,
  };
  /// Exit codes of the shell on the other side.
  static constexpr int kCommandNotFound = 127, kCommandUnusable = 126;

  End end = End::kBroken;
  std::unique_ptr<Stream> stream;  ///< kConnected
  std::string program;             ///< "ssh"
  int number = 0;                  ///< kEnded: the exit code, 128 + signal; kBroken, kNotStarted: errno
  std::string complaint;           ///< the last line of its error output, printable
};
/// DialRemotePipe() in two halves, for who wants to know. `started`: the command runs; may be empty.
Awaitable<RemotePipeTry> TryRemotePipe(Executor executor, std::string host, std::string pipe,
                                       Environment environment, std::chrono::milliseconds limit,
                                       std::function<void()> started);
Error ExplainRemotePipe(const RemotePipeTry& outcome, const std::string& host, const std::string& pipe,
                        std::chrono::milliseconds limit);

}  // namespace longwire
