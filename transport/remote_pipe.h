#pragma once

#include <chrono>
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

}  // namespace longwire
