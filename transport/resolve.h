#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "transport/stream.h"

/// For the .cc files of this folder only.
namespace longwire {

/// The addresses of `host`, at most 16, of one family if `ip_version` says so. kUnreachable, kTimedOut.
Awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> Resolve(
    Executor executor, std::string host, std::uint16_t port, std::optional<int> ip_version,
    std::chrono::steady_clock::time_point until);

}  // namespace longwire
