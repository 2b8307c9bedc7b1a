#include "transport/listener.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <map>

#include "transport/acceptor.h"
#include "transport/candidates.h"
#include "transport/deadline.h"
#include "transport/endpoint_pipe.h"
#include "transport/line_limit.h"
#include "transport/pipe_directory.h"
#include "transport/reverse_listener.h"
#include "transport/serial_channel.h"
#include "transport/server_security.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kWait = boost::asio::as_tuple(boost::asio::use_awaitable);
constexpr std::chrono::milliseconds kHandshakeLimit{10'000}, kAcceptPause{100};
constexpr std::size_t kReadyPeers = 256;
constexpr std::chrono::seconds kTurnsPause{60};  ///< between two lines about handshakes that wait

/// What the listener and its coroutines share: AcceptLoop() per acceptor, Authenticate() per peer that must
/// prove itself.
struct Core {
  Core(Executor on, Endpoint at, ListenOptions with, ServerSecurity asked)
      : executor(std::move(on)),
        endpoint(std::move(at)),
        options(std::move(with)),
        security(std::move(asked)),
        wake(executor),
        turn_timer(executor),
        turns(options.handshakes),
        candidates(options.candidates) {
    wake.expires_at(Clock::time_point::max());
  }

  void Warn(const std::string& line) const {
    if (options.warn) options.warn(line);
  }

  Executor executor;
  Endpoint endpoint;
  ListenOptions options;
  ServerSecurity security;
  std::vector<std::unique_ptr<Acceptor>> acceptors;
  std::deque<std::unique_ptr<Stream>> ready;
  boost::asio::steady_timer wake;        ///< never expires; cancelled when `ready` or `closed` changed
  boost::asio::steady_timer turn_timer;  ///< for the next one who waits for a turn
  HandshakeTurns turns;
  struct TurnWaiter {
    boost::asio::steady_timer* wake;  ///< never expires; cancelled when the turn came, or the peer has to go
    const Candidates::Place* place;
  };
  std::map<HandshakeTurns::Ticket, TurnWaiter> turn_waiters;
  std::optional<Clock::time_point> turns_told;
  Candidates candidates;
  LineLimit refusals, accept_errors;
  bool closed = false;
};
using CorePointer = std::shared_ptr<Core>;

void HandOut(Core& core, std::unique_ptr<Stream> stream) {
  if (core.closed) return;
  if (core.ready.size() >= kReadyPeers) {
    core.Warn("Too many peers wait to be served; dropped " + core.ready.front()->peer().address + ".");
    core.ready.pop_front();
  }
  core.ready.push_back(std::move(stream));
  core.wake.cancel();
}

/// What would fill the disk of a server that somebody connects to in a loop.
void WarnRarely(Core& core, LineLimit& limit, std::string line) {
  const auto skipped = limit.Take(Clock::now());
  if (!skipped) return;
  if (*skipped > 0)
    line += " " + std::to_string(*skipped) + " more such lines were left out before this one.";
  core.Warn(line);
}

/// Of an address that guessed wrong everything is told: guessing is slowed, so these lines are few.
void NoteRefusal(Core& core, const PeerInfo& peer, const Error& error) {
  const bool by_us = error.code == Errc::kCancelled;
  std::string line =
      "Refused " + peer.address + ": " +
      (by_us ? "It took longer than 10 s to prove itself, or newer ones came." : error.message);
  const std::size_t failures = error.code == Errc::kAuthentication ? core.security.failures(peer) : 0;
  if (failures > 0) {
    return core.Warn(line + " Failures of this address within a minute: " + std::to_string(failures) + ".");
  }
  WarnRarely(core, core.refusals, std::move(line));
}

void TellTurns(Core& core, const std::string& host) {
  const auto now = Clock::now();
  if (core.turns_told && now - *core.turns_told < kTurnsPause) return;
  core.turns_told = now;
  const HandshakeLimits& limits = core.options.handshakes;
  core.Warn("More TLS handshakes than " + std::to_string(limits.host_per_second) + " a second from " + host +
            ", or " + std::to_string(limits.per_second) +
            " from everybody, are asked for: they wait their turn.");
}

/// Wakes whose turn it is, and comes again when the next one's is.
void GiveTurns(const CorePointer& core) {
  const auto now = Clock::now();
  while (const auto ticket = core->turns.Next(now)) {
    const auto waiter = core->turn_waiters.extract(*ticket);
    if (!waiter.empty()) waiter.mapped().wake->cancel();
  }
  const auto next = core->turns.wake(now);
  if (next == HandshakeTurns::Time::max()) return;
  core->turn_timer.expires_at(next);
  core->turn_timer.async_wait([core](boost::system::error_code cancelled) {
    if (!cancelled && !core->closed) GiveTurns(core);
  });
}

/// Those who were pushed out, or whose time is over, do not wait on.
void DropFromTurns(Core& core) {
  std::erase_if(core.turn_waiters, [&core](const auto& entry) {
    if (entry.second.place->open() && !core.closed) return false;
    core.turns.Leave(entry.first);
    entry.second.wake->cancel();
    return true;
  });
}

/// A peer's place in the line, which it leaves at the end whatever that is.
class TurnInLine {
 public:
  TurnInLine(Core& core, boost::asio::steady_timer* wake, const Candidates::Place& place)
      : core_(core), ticket_(core.turns.Join(place.host())) {
    core_.turn_waiters.insert({ticket_, {wake, &place}});
  }
  TurnInLine(const TurnInLine&) = delete;
  ~TurnInLine() {
    if (core_.turn_waiters.erase(ticket_) > 0) core_.turns.Leave(ticket_);
  }
  bool waits() const { return core_.turn_waiters.contains(ticket_); }

 private:
  Core& core_;
  HandshakeTurns::Ticket ticket_;
};

/// For a peer whose hello is there. Not one whose first byte came: those who talk rubbish would push out the
/// ones that prove themselves.
Awaitable<Result<void>> AwaitTurn(CorePointer core, Candidates::Place& place) {
  if (!place.open()) co_return Error{Errc::kCancelled, "Its connection was closed before its turn."};
  place.Spoke();
  DropFromTurns(*core);
  boost::asio::steady_timer wake(core->executor, Clock::time_point::max());
  const TurnInLine turn(*core, &wake, place);
  GiveTurns(core);
  if (turn.waits()) {
    TellTurns(*core, place.host());
    co_await wake.async_wait(kWait);
  }
  if (place.open()) co_return Result<void>();
  co_return Error{Errc::kCancelled, "Its connection was closed before its turn."};
}

Awaitable<void> Authenticate(CorePointer core, std::unique_ptr<Stream> stream) {
  const PeerInfo peer = stream->peer();
  Result<std::unique_ptr<Stream>> proved = Error{};
  {
    Candidates::Place place(
        core->candidates, [below = stream.get()] { below->Close(); }, HostOf(peer));
    ScopedDeadline deadline(core->executor, kHandshakeLimit, [core, &place] {
      place.Close();
      DropFromTurns(*core);
    });
    ServerSecurity::Hooks hooks;
    hooks.turn = [core, &place] { return AwaitTurn(core, place); };
    // A stream that was refused is gone with this call: the place must not outlive this turn.
    proved = co_await core->security.Secure(core->executor, std::move(stream), deadline, std::move(hooks));
  }
  if (proved) {
    if (core->security.authenticates()) core->turns.Proved(HostOf(peer));
    HandOut(*core, std::move(*proved));
  } else if (!core->closed) {
    NoteRefusal(*core, peer, proved.error());
  }
}

bool IsAllowed(Core& core, const Stream& stream) {
  if (core.endpoint.protocol != Protocol::kNamedPipe && core.endpoint.protocol != Protocol::kSecurePipe)
    return true;
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
      WarnRarely(*core, core->accept_errors, stream.error().message);
      boost::asio::steady_timer pause(core->executor, kAcceptPause);
      co_await pause.async_wait(kWait);
      continue;
    }
    if (!IsAllowed(*core, **stream)) continue;
    if (!core->security.asks()) {
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
  std::string state() const override { return core_->closed ? "closed" : "listening"; }
  void Close() noexcept override {
    if (core_->closed) return;
    core_->closed = true;
    for (const auto& acceptor : core_->acceptors) acceptor->Close();
    core_->candidates.CloseAll();
    DropFromTurns(*core_);
    core_->turn_timer.cancel();
    core_->ready.clear();
    core_->wake.cancel();
  }

 private:
  CorePointer core_;
};

Result<void> BindTcpEndpoint(Core& core) {
  Endpoint& endpoint = core.endpoint;
  const bool authenticates = core.security.authenticates();
  const bool loopback_only = !authenticates && !core.options.open;
  auto bound = BindTcp(core.executor, {"", loopback_only, endpoint.ip_version, endpoint.port});
  if (!bound) return bound.error();
  core.acceptors = std::move(bound->acceptors);
  const bool single = endpoint.port.first == endpoint.port.last || endpoint.port.first == 0;
  endpoint.port.first = bound->port;
  if (single) endpoint.port.last = bound->port;
  if (loopback_only) {
    core.Warn("No password: listening for this machine only; give password= or -open to let others in.");
  } else if (!authenticates) {
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

Result<void> BindSerialEndpoint(Core& core) {
  const Endpoint& endpoint = core.endpoint;
  auto acceptor = BindSerialChannel(core.executor, {endpoint.device, endpoint.baud, endpoint.channel});
  if (!acceptor) return acceptor.error();
  core.acceptors.push_back(std::move(*acceptor));
  return {};
}

Result<void> Bind(Core& core) {
  switch (core.endpoint.protocol) {
    case Protocol::kTcp:
    case Protocol::kSsl: return BindTcpEndpoint(core);
    case Protocol::kNamedPipe:
    case Protocol::kSecurePipe: return BindPipeEndpoint(core);
    case Protocol::kCom: return BindSerialEndpoint(core);
  }
  return Error{Errc::kInternal, "unknown protocol"};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listen(Executor executor, Endpoint endpoint, ListenOptions options) {
  auto security = ServerSecurity::Make(endpoint);
  if (!security) return security.error();
  if (endpoint.clicon) {
    return ListenReverse(std::move(executor), std::move(endpoint), std::move(options), std::move(*security));
  }
  const auto core = std::make_shared<Core>(std::move(executor), std::move(endpoint), std::move(options),
                                           std::move(*security));
  if (const auto bound = Bind(*core); !bound) return bound.error();
  for (std::size_t i = 0; i < core->acceptors.size(); ++i) {
    boost::asio::co_spawn(core->executor, AcceptLoop(core, i), [core](std::exception_ptr failure) {
      if (failure) core->Warn("The accept loop ended by an exception; restart the server.");
    });
  }
  return std::make_unique<SocketListener>(core);
}

}  // namespace longwire
