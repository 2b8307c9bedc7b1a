#include "transport/client_security.h"
#include "transport/deadline.h"
#include "transport/dial_socket.h"
#include "transport/endpoint_pipe.h"
#include "transport/listener.h"
#include "transport/remote_pipe.h"
#include "transport/reverse_dialer.h"
#include "transport/serial_channel.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint32_t kDefaultLimit = 10;  // seconds

Awaitable<Result<std::unique_ptr<Stream>>> DialPipe(Executor executor, const Endpoint& endpoint,
                                                    milliseconds limit) {
  if (const auto checked = CheckPipeName(endpoint.pipe); !checked) co_return checked.error();
  if (!IsThisMachine(endpoint.server)) {
    const Environment environment = ProcessEnvironment();
    co_return co_await DialRemotePipe(executor, endpoint.server, endpoint.pipe, environment, limit);
  }
  auto stream = co_await DialLocalSocket(executor, PipePath(endpoint.pipe, ProcessEnvironment()), limit);
  if (!stream && stream.error().code == Errc::kUnreachable) {
    Error error = stream.error();
    error.message =
        "No server listens on the pipe " + endpoint.pipe + " of this user; check the name. " + error.message;
    co_return error;
  }
  co_return stream;
}

Awaitable<Result<std::unique_ptr<Stream>>> DialRaw(Executor executor, const Endpoint& endpoint,
                                                   milliseconds limit) {
  switch (endpoint.protocol) {
    case Protocol::kTcp:
    case Protocol::kSsl:
      co_return co_await DialTcp(executor, endpoint.server, endpoint.port.first, endpoint.ip_version, limit);
    case Protocol::kNamedPipe:
    case Protocol::kSecurePipe: co_return co_await DialPipe(executor, endpoint, limit);
    case Protocol::kCom: {
      const SerialPlace place{endpoint.device, endpoint.baud, endpoint.channel};
      co_return co_await DialSerialChannel(executor, place, limit, nullptr);
    }
  }
  co_return Error{Errc::kInternal, "unknown protocol"};
}

}  // namespace

Awaitable<Result<std::unique_ptr<Stream>>> Dial(Executor executor, Endpoint endpoint, DialOptions options) {
  const auto security = ClientSecurity::Make(endpoint);
  if (!security) co_return security.error();
  if (endpoint.clicon) {
    co_return co_await AwaitServer(executor, std::move(endpoint), std::move(options), *security);
  }
  const milliseconds limit =
      options.limit.value_or(std::chrono::seconds(endpoint.connect_timeout_seconds.value_or(kDefaultLimit)));
  const auto begin = Clock::now();
  auto stream = co_await DialRaw(executor, endpoint, limit);
  if (!stream || !security->acts()) co_return stream;

  const std::string address = (*stream)->peer().address;
  Stream* const below = stream->get();
  const auto left =
      std::max(limit - std::chrono::duration_cast<milliseconds>(Clock::now() - begin), milliseconds(1));
  ScopedDeadline deadline(executor, left, [below] { below->Close(); });
  auto secured = co_await security->Secure(executor, std::move(*stream), deadline);
  if (deadline.expired()) {
    co_return Error{
        Errc::kTimedOut,
        address + " did not finish TLS and the password exchange in time; is it a longwire server?"};
  }
  co_return secured;
}

Awaitable<Result<std::unique_ptr<Stream>>> Dial(Executor executor, Endpoint endpoint) {
  return Dial(std::move(executor), std::move(endpoint), DialOptions{});
}

}  // namespace longwire
