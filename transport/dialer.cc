#include "transport/deadline.h"
#include "transport/dial_socket.h"
#include "transport/endpoint_pipe.h"
#include "transport/listener.h"
#include "transport/password.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kDefaultLimit{10};

Awaitable<Result<std::unique_ptr<Stream>>> DialPipe(Executor executor, const Endpoint& endpoint,
                                                    milliseconds limit) {
  if (!IsThisMachine(endpoint.server)) {
    co_return Error{Errc::kUnsupported, "npipe: reaches this machine only, not " + endpoint.server +
                                            "; use tcp: with a password to reach another machine."};
  }
  if (const auto checked = CheckPipeName(endpoint.pipe); !checked) co_return checked.error();
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
  if (endpoint.clicon)
    co_return Error{Errc::kUnsupported, "Reverse connections (clicon=) are not supported yet."};
  switch (endpoint.protocol) {
    case Protocol::kTcp:
      co_return co_await DialTcp(executor, endpoint.server, endpoint.port.first, endpoint.ip_version, limit);
    case Protocol::kNamedPipe:
      co_return co_await DialPipe(executor, endpoint, limit);
    case Protocol::kCom:
      co_return Error{Errc::kUnsupported, "com: is not supported yet; use tcp: or npipe:."};
    case Protocol::kSecurePipe:
      co_return Error{Errc::kUnsupported, "spipe: is not supported yet; use npipe: with a password."};
    case Protocol::kSsl:
      co_return Error{Errc::kUnsupported, "ssl: is not supported yet; use tcp: with a password."};
  }
  co_return Error{Errc::kInternal, "unknown protocol"};
}

/// TLS and the password. The stream below is closed by `deadline` through `below`, which this empties when it
/// is over.
Awaitable<Result<std::unique_ptr<Stream>>> Authenticate(Executor executor, std::unique_ptr<Stream> stream,
                                                        PasswordKey key, ScopedDeadline& deadline) {
  const auto context = MakeUnverifiedClientContext();
  if (!context) co_return context.error();
  TlsStream::Start start;
  auto tls = co_await TlsStream::Handshake(executor, std::move(stream), *context, std::move(start));
  if (!tls) {
    Error error = tls.error();
    if (error.code == Errc::kMalformed || error.code == Errc::kClosed || error.code == Errc::kIo) {
      error.message += " Was the server started with a password?";
    }
    co_return error;
  }
  std::function<void(milliseconds)> on_hold = [&deadline](milliseconds hold) { deadline.Extend(hold); };
  const auto proved = co_await ProvePassword(**tls, key, std::move(on_hold));
  if (!proved) co_return proved.error();
  co_return std::move(*tls);
}

}  // namespace

Awaitable<Result<std::unique_ptr<Stream>>> Dial(Executor executor, Endpoint endpoint) {
  const milliseconds limit = endpoint.connect_timeout_seconds
                                 ? std::chrono::seconds(*endpoint.connect_timeout_seconds)
                                 : kDefaultLimit;
  const auto begin = Clock::now();
  auto stream = co_await DialRaw(executor, endpoint, limit);
  if (!stream || !endpoint.password) co_return stream;

  const auto key = DerivePasswordKey(*endpoint.password);
  if (!key) co_return key.error();
  const std::string address = (*stream)->peer().address;
  Stream* const below = stream->get();
  const auto left =
      std::max(limit - std::chrono::duration_cast<milliseconds>(Clock::now() - begin), milliseconds(1));
  ScopedDeadline deadline(executor, left, [below] { below->Close(); });
  auto proved = co_await Authenticate(executor, std::move(*stream), *key, deadline);
  if (deadline.expired()) {
    co_return Error{Errc::kTimedOut,
                    address + " did not finish the password exchange in time; is it a longwire server?"};
  }
  co_return proved;
}

}  // namespace longwire
