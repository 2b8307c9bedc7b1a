#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "transport/stream.h"

namespace longwire {

/// Connects without TLS or password, for kernel links and as the ground of Dial(). Errors: kUnreachable with
/// errno, kTimedOut; they name the place.
Awaitable<Result<std::unique_ptr<Stream>>> DialLocalSocket(Executor executor, std::string path,
                                                           std::chrono::milliseconds limit);
/// Tries every address `host` resolves to, of one family if `ip_version` says so.
Awaitable<Result<std::unique_ptr<Stream>>> DialTcp(Executor executor, std::string host, std::uint16_t port,
                                                   std::optional<int> ip_version,
                                                   std::chrono::milliseconds limit);

}  // namespace longwire
