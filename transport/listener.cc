#include "transport/listener.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>

#include "proto/rpc/frame.h"
#include "transport/acceptor.h"
#include "transport/candidates.h"
#include "transport/deadline.h"
#include "transport/endpoint_pipe.h"
#include "transport/password.h"
#include "transport/password_throttle.h"
#include "transport/pipe_directory.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kWait = boost::asio::as_tuple(boost::asio::use_awaitable);
constexpr std::chrono::milliseconds kHandshakeLimit{10'000}, kAcceptPause{100};
constexpr std::size_t kHandshakeBytes = 32u << 10;
constexpr std::size_t kReadyPeers = 256;
constexpr std::byte kTlsHandshakeRecord{0x16};

/// What the listener and its coroutines share: AcceptLoop() per acceptor, Authenticate() per peer that must
/// prove itself.
struct Core {
  Core(Executor on, Endpoint at, ListenOptions with)
      : executor(std::move(on)),
        endpoint(std::move(at)),
        options(std::move(with)),
        wake(executor),
        candidates(options.unauthenticated_peers, options.unauthenticated_per_address) {
    wake.expires_at(Clock::time_point::max());
  }

  void Warn(const std::string& line) const {
    if (options.warn) options.warn(line);
  }

  Executor executor;
  Endpoint endpoint;
  ListenOptions options;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  TlsContext tls;                  ///< set with `key`
  std::optional<PasswordKey> key;  ///< set: peers must prove that they know the password
  std::deque<std::unique_ptr<Stream>> ready;
  boost::asio::steady_timer wake;  ///< never expires; cancelled when `ready` or `closed` changed
  PasswordThrottle throttle;
  Candidates candidates;
  bool closed = false;
};
using CorePointer = std::shared_ptr<Core>;

/// Where guesses are counted: the address without its port, or the user of a local socket.
std::string HostOf(const PeerInfo& peer) {
  if (peer.user_id) return "user " + std::to_string(*peer.user_id);
  return peer.address.substr(0, peer.address.rfind(':'));
}

void HandOut(Core& core, std::unique_ptr<Stream> stream) {
  if (core.closed) return;
  if (core.ready.size() >= kReadyPeers) {
    core.Warn("Too many peers wait to be served; dropped " + core.ready.front()->peer().address + ".");
    core.ready.pop_front();
  }
  core.ready.push_back(std::move(stream));
  core.wake.cancel();
}

/// A client that begins with a frame instead of TLS was given no password; it is told so in its own language.
Awaitable<Error> RefusePlain(std::unique_ptr<Stream> stream) {
  const Error error{
      Errc::kAuthentication,
      "The server asks for a password and got none (Error 0x80004005); add password= to the client string."};
  const auto reject = rpc::EncodeFrameHead({0, rpc::Reject{error.code, error.message}, {}});
  auto done = co_await stream->WriteAll(reject, {});
  if (done) done = co_await stream->ShutdownWrite();
  if (done) {
    // Closing with unread bytes would reset the connection and take the text away from the client.
    std::vector<std::byte> rest(1024);
    for (std::size_t total = 0; total < kHandshakeBytes;) {
      const auto count = co_await stream->ReadSome(rest);
      if (!count || *count == 0) break;
      total += *count;
    }
  }
  co_return error;
}

Awaitable<Result<std::unique_ptr<Stream>>> Prove(CorePointer core, std::unique_ptr<Stream> stream,
                                                 std::string host, ScopedDeadline& deadline) {
  std::vector<std::byte> first(4096);
  const auto count = co_await stream->ReadSome(first);
  if (!count) co_return count.error();
  if (*count == 0) co_return Error{Errc::kClosed, stream->peer().address + " said nothing."};
  first.resize(*count);
  if (first[0] != kTlsHandshakeRecord) co_return co_await RefusePlain(std::move(stream));
  // Named, not a temporary: gcc 12 destroys temporary aggregates of a co_await expression twice.
  TlsStream::Start start{TlsStream::Side::kServer, std::move(first), kHandshakeBytes};
  auto tls = co_await TlsStream::Handshake(core->executor, std::move(stream), core->tls, std::move(start));
  if (!tls) co_return tls.error();

  const auto hold = core->throttle.Begin(host, Clock::now());
  if (!hold) {
    const std::string text = "Too many wrong passwords from your address (Error 0x80004005); wait a minute.";
    (void)co_await RefusePassword(**tls, text);
    co_return Error{Errc::kAuthentication, "too many attempts"};
  }
  if (hold->count() > 0) deadline.Extend(*hold);
  const auto checked = co_await CheckPassword(core->executor, **tls, *core->key, *hold);
  // Breaking off after seeing the server's share is a guess too, so only success is not counted.
  core->throttle.End(host, Clock::now(), !checked);
  if (!checked) co_return checked.error();
  (*tls)->LiftLimit();
  co_return std::move(*tls);
}

Awaitable<void> Authenticate(CorePointer core, std::unique_ptr<Stream> stream) {
  const std::string address = stream->peer().address;
  const std::string host = HostOf(stream->peer());
  const auto place = core->candidates.Add(stream.get(), host);
  Result<std::unique_ptr<Stream>> proved = Error{};
  {
    // The place in the list is what may close the stream; it is emptied before the stream can go.
    ScopedDeadline deadline(core->executor, kHandshakeLimit, [core, place] {
      if (place->stream) place->stream->Close();
      place->stream = nullptr;
    });
    proved = co_await Prove(core, std::move(stream), host, deadline);
  }
  core->candidates.Remove(place);
  if (proved) {
    HandOut(*core, std::move(*proved));
  } else if (!core->closed) {
    const std::size_t failures = core->throttle.failures(host);
    core->Warn(
        "Refused " + address + ": " + proved.error().message +
        (failures > 0 ? " Failures of this address within a minute: " + std::to_string(failures) + "." : ""));
  }
}

bool IsAllowed(Core& core, const Stream& stream) {
  if (core.endpoint.protocol != Protocol::kNamedPipe) return true;
  const auto user = stream.peer().user_id;
  if (user && (*user == ::geteuid() || *user == 0)) return true;
  core.Warn("Refused user " + (user ? std::to_string(*user) : std::string("unknown")) + " on the pipe.");
  return false;
}

Awaitable<void> AcceptLoop(CorePointer core, std::size_t index) {
  while (!core->closed) {
    auto stream = co_await core->acceptors[index]->Accept();
    if (core->closed) break;
    if (!stream) {
      core->Warn(stream.error().message);
      boost::asio::steady_timer pause(core->executor, kAcceptPause);
      co_await pause.async_wait(kWait);
      continue;
    }
    if (!IsAllowed(*core, **stream)) continue;
    if (!core->key) {
      HandOut(*core, std::move(*stream));
      continue;
    }
    boost::asio::co_spawn(core->executor, Authenticate(core, std::move(*stream)),
                          [core](std::exception_ptr failure) {
                            if (failure) core->Warn("A handshake ended by an exception.");
                          });
  }
}

Awaitable<Result<std::unique_ptr<Stream>>> AcceptReady(CorePointer core) {
  while (core->ready.empty() && !core->closed) co_await core->wake.async_wait(kWait);
  if (core->closed) co_return Error{Errc::kCancelled, "The listener was closed."};
  auto stream = std::move(core->ready.front());
  core->ready.pop_front();
  co_return stream;
}

class SocketListener final : public Listener {
 public:
  explicit SocketListener(CorePointer core) : core_(std::move(core)) {}
  ~SocketListener() override { Close(); }

  Awaitable<Result<std::unique_ptr<Stream>>> Accept() override { return AcceptReady(core_); }
  const Endpoint& endpoint() const noexcept override { return core_->endpoint; }
  void Close() noexcept override {
    if (core_->closed) return;
    core_->closed = true;
    for (const auto& acceptor : core_->acceptors) acceptor->Close();
    core_->candidates.CloseAll();
    core_->ready.clear();
    core_->wake.cancel();
  }

 private:
  CorePointer core_;
};

Result<void> BindTcpEndpoint(Core& core) {
  Endpoint& endpoint = core.endpoint;
  const bool loopback_only = !endpoint.password && !core.options.open;
  auto bound = BindTcp(core.executor, {"", loopback_only, endpoint.ip_version, endpoint.port});
  if (!bound) return bound.error();
  core.acceptors = std::move(bound->acceptors);
  const bool single = endpoint.port.first == endpoint.port.last || endpoint.port.first == 0;
  endpoint.port.first = bound->port;
  if (single) endpoint.port.last = bound->port;
  if (loopback_only) {
    core.Warn("No password: listening for this machine only; give password= or -open to let others in.");
  } else if (!endpoint.password) {
    core.Warn("No password and -open: everybody who reaches port " + std::to_string(bound->port) +
              " controls the target.");
  }
  return {};
}

Result<void> BindPipeEndpoint(Core& core) {
  const Environment environment = ProcessEnvironment();
  const auto name = ExpandPipeName(core.endpoint.pipe, static_cast<unsigned long>(::getpid()),
                                   static_cast<unsigned long>(::syscall(SYS_gettid)));
  if (!name) return name.error();
  if (const auto prepared = PreparePipeDirectory(environment); !prepared) return prepared.error();
  auto acceptor = BindLocalSocket(core.executor, PipePath(*name, environment));
  if (!acceptor) return acceptor.error();
  core.endpoint.pipe = *name;
  core.acceptors.push_back(std::move(*acceptor));
  return {};
}

Result<void> Bind(Core& core) {
  const Endpoint& endpoint = core.endpoint;
  if (endpoint.clicon)
    return Error{Errc::kUnsupported, "Reverse connections (clicon=) are not supported yet."};
  switch (endpoint.protocol) {
    case Protocol::kTcp:
      return BindTcpEndpoint(core);
    case Protocol::kNamedPipe:
      return BindPipeEndpoint(core);
    case Protocol::kCom:
      return Error{Errc::kUnsupported, "Serving over com: is not supported yet; use tcp: or npipe:."};
    case Protocol::kSecurePipe:
      return Error{Errc::kUnsupported, "spipe: is not supported yet; use npipe: with a password."};
    case Protocol::kSsl:
      return Error{Errc::kUnsupported, "ssl: is not supported yet; use tcp: with a password."};
  }
  return Error{Errc::kInternal, "unknown protocol"};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listen(Executor executor, Endpoint endpoint, ListenOptions options) {
  const auto core = std::make_shared<Core>(std::move(executor), std::move(endpoint), std::move(options));
  if (core->endpoint.password) {
    const auto key = DerivePasswordKey(*core->endpoint.password);
    if (!key) return key.error();
    auto tls = MakeEphemeralServerContext();
    if (!tls) return tls.error();
    core->key = *key;
    core->tls = std::move(*tls);
  }
  if (const auto bound = Bind(*core); !bound) return bound.error();
  for (std::size_t i = 0; i < core->acceptors.size(); ++i) {
    boost::asio::co_spawn(core->executor, AcceptLoop(core, i), [core](std::exception_ptr failure) {
      if (failure) core->Warn("The accept loop ended by an exception; restart the server.");
    });
  }
  return std::make_unique<SocketListener>(core);
}

}  // namespace longwire
