#pragma once

#include <string>
#include <string_view>

#include "proto/error.h"
#include "transport/endpoint_environment.h"

namespace longwire {

/// Named pipes on Linux: stream sockets in a per-user directory (remote-debugging.md 2.6, 2.9).

/// A name as a server writes it: at most two of `%d %u %x %X`, `%%` for a percent sign.
Result<void> CheckPipePattern(std::string_view pattern);
/// A name as a client writes it: `[A-Za-z0-9_.%-]{1,64}`, but not "." or "..".
Result<void> CheckPipeName(std::string_view name);
/// Replaces the first code by `process_id`, the second by `thread_id`; the outcome passes CheckPipeName.
Result<std::string> ExpandPipeName(std::string_view pattern, unsigned long process_id,
                                   unsigned long thread_id);

/// Directory of this user's pipes; whoever binds creates it with mode 0700 and checks its owner.
std::string PipeDirectory(const Environment& environment);
/// Path of the socket of `name`, which passed CheckPipeName. Names that differ only in case share a path.
std::string PipePath(std::string_view name, const Environment& environment);
/// ".", "localhost", a loopback address or this machine's own name.
bool IsThisMachine(std::string_view host);

}  // namespace longwire
