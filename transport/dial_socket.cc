#include "transport/dial_socket.h"

#include <sys/un.h>

#include <algorithm>
#include <vector>

#include "transport/deadline.h"
#include "transport/descriptor_stream.h"
#include "transport/resolve.h"
#include "transport/socket_stream.h"

namespace longwire {
namespace {

using boost::asio::ip::tcp;
using Local = boost::asio::local::stream_protocol;
using Clock = std::chrono::steady_clock;

Error TooSlow(const std::string& where) {
  return {Errc::kTimedOut, "Cannot reach " + where + ": no answer in time."};
}

template <class Socket>
Awaitable<Result<void>> Connect(Executor executor, Socket& socket, typename Socket::endpoint_type to,
                                std::string where, std::chrono::milliseconds limit) {
  const ScopedDeadline deadline(executor, limit, [&socket] {
    boost::system::error_code ignored;
    socket.close(ignored);
  });
  const auto [error] = co_await socket.async_connect(to, kAsTuple);
  if (deadline.expired()) co_return TooSlow(where);
  if (error) co_return ConnectError(error, where);
  co_return Result<void>();
}

}  // namespace

Awaitable<Result<std::unique_ptr<Stream>>> DialLocalSocket(Executor executor, std::string path,
                                                           std::chrono::milliseconds limit) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    co_return Error{Errc::kUsage,
                    "The path " + path + " is too long for a local socket (107 characters at most)."};
  }
  Local::socket socket(executor);
  const auto connected = co_await Connect(executor, socket, Local::endpoint(path), path, limit);
  if (!connected) co_return connected.error();
  co_return MakeLocalStream(std::move(socket));
}

Awaitable<Result<std::unique_ptr<Stream>>> DialTcp(Executor executor, std::string host, std::uint16_t port,
                                                   std::optional<int> ip_version,
                                                   std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  const auto addresses = co_await Resolve(executor, host, port, ip_version, until);
  if (!addresses) co_return addresses.error();
  Error last;
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    // An address that swallows packets must leave time for the others.
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    const auto share =
        std::max(left / static_cast<long>(addresses->size() - i), std::chrono::milliseconds(1));
    const std::string where = host + " port " + std::to_string(port);
    tcp::socket socket(executor);
    const auto connected = co_await Connect(executor, socket, (*addresses)[i], where, share);
    if (connected) co_return MakeTcpStream(std::move(socket));
    last = connected.error();
  }
  co_return last;
}

}  // namespace longwire
