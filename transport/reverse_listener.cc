#include "transport/reverse_listener.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "transport/dial_socket.h"
#include "transport/endpoint_pipe.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kWait = boost::asio::as_tuple(boost::asio::use_awaitable);
constexpr milliseconds kConnectLimit{10'000}, kHandshakeLimit{10'000};

struct Core {
  Core(Executor on, Endpoint at, ListenOptions with, ServerSecurity asked)
      : executor(std::move(on)),
        endpoint(std::move(at)),
        options(std::move(with)),
        security(std::move(asked)),
        changed(executor),
        pause(executor) {
    changed.expires_at(Clock::time_point::max());
    if (endpoint.retry_seconds.value_or(0) > 0) {
      options.reverse.longest = std::chrono::seconds(*endpoint.retry_seconds);
    }
    if (endpoint.connect_timeout_seconds) {
      options.reverse.hint = std::chrono::seconds(*endpoint.connect_timeout_seconds);
    }
  }

  bool once() const { return endpoint.retry_seconds == 0u; }
  std::string where() const { return *endpoint.clicon + " port " + std::to_string(endpoint.port.first); }
  void Warn(const std::string& line) const {
    if (options.warn) options.warn(line);
  }
  void Say(const std::string& line) const {
    if (options.notice) options.notice(line);
  }
  void End(Error error) {
    end = std::move(error);
    changed.cancel();
  }

  Executor executor;
  Endpoint endpoint;
  ListenOptions options;
  ServerSecurity security;
  boost::asio::steady_timer changed;  ///< never expires; cancelled when a member below changed
  boost::asio::steady_timer pause;    ///< before the next attempt
  std::unique_ptr<Stream> ready;      ///< not yet taken by Accept()
  Stream* proving = nullptr;          ///< in TLS or the password exchange
  bool pausing = false;               ///< until `pause` expires
  bool serving = false;               ///< a stream that was handed out, or is ready, is still open
  bool closed = false;
  std::optional<Error> end;  ///< with retry=0: why no peer will come
  std::string state;
};
using CorePointer = std::shared_ptr<Core>;

/// Tells the listener when the peer that it serves has gone.
class ServedStream final : public Stream {
 public:
  ServedStream(std::unique_ptr<Stream> stream, const CorePointer& core)
      : stream_(std::move(stream)), core_(core) {}
  ~ServedStream() override { Close(); }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    return stream_->ReadSome(out);
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return stream_->WriteAll(head, body);
  }
  std::size_t TryWrite(std::span<const std::byte> data) noexcept override { return stream_->TryWrite(data); }
  Awaitable<Result<void>> ShutdownWrite() override { return stream_->ShutdownWrite(); }
  void Close() noexcept override {
    stream_->Close();
    if (const auto core = std::exchange(core_, {}).lock()) {
      core->serving = false;
      core->changed.cancel();
    }
  }
  const PeerInfo& peer() const noexcept override { return stream_->peer(); }

 private:
  std::unique_ptr<Stream> stream_;
  std::weak_ptr<Core> core_;
};

Awaitable<Result<std::unique_ptr<Stream>>> Attempt(CorePointer core) {
  const Endpoint& endpoint = core->endpoint;
  auto stream = co_await DialTcp(core->executor, *endpoint.clicon, endpoint.port.first, endpoint.ip_version,
                                 std::min(kConnectLimit, core->options.reverse.hint));
  if (!stream) co_return stream;
  if (core->closed) co_return Error{Errc::kCancelled, "The listener was closed."};
  if (!core->security.authenticates() && !core->options.open && !(*stream)->peer().loopback) {
    co_return Error{Errc::kUsage,
                    core->where() + " is another machine and there is no password; give password= or -open."};
  }
  if (!core->security.asks()) co_return stream;

  const PeerInfo peer = (*stream)->peer();
  core->proving = stream->get();
  ScopedDeadline deadline(core->executor, kHandshakeLimit, [core] {
    if (core->proving) core->proving->Close();
  });
  ServerSecurity::Hooks none;
  auto secured =
      co_await core->security.Secure(core->executor, std::move(*stream), deadline, std::move(none));
  core->proving = nullptr;
  if (secured) co_return secured;
  if (deadline.expired()) {
    co_return Error{Errc::kTimedOut, peer.address +
                                         " accepted the connection and then did not speak as a client; "
                                         "is it one, with clicon= in its string?"};
  }
  Error error = secured.error();
  error.message = "Refused " + peer.address + ": " + error.message;
  co_return error;
}

milliseconds PauseAfter(const ReverseTiming& timing, unsigned failures) {
  milliseconds pause = timing.first;
  for (unsigned i = timing.steady; i < failures && pause < timing.longest; ++i) pause *= 2;
  return std::min(pause, timing.longest);
}

/// Waits until the peer that is served has gone.
Awaitable<void> Serve(CorePointer core, std::unique_ptr<Stream> stream) {
  const std::string address = stream->peer().address;
  core->state = "connected to " + address;
  core->Say("Connected to " + address + ".");
  core->serving = true;
  core->ready = std::make_unique<ServedStream>(std::move(stream), core);
  core->changed.cancel();
  while (core->serving && !core->closed) co_await core->changed.async_wait(kWait);
  if (!core->closed) core->Say(address + " has left.");
}

/// What failed in a row, and what has been said about it.
struct Failures {
  unsigned count = 0;
  Clock::time_point since = Clock::now();
  bool hinted = false;
};

void Note(Core& core, Failures& failures, const Error& error) {
  ++failures.count;
  core.state =
      "dialling " + core.where() + " (attempt " + std::to_string(failures.count) + ": " + error.message + ")";
  if (error.code != Errc::kUnreachable) {
    core.Warn(error.message + " Dialling on.");
  } else if (failures.count == 1) {
    // Nobody listens yet: normal when the server was started first.
    core.Say(error.message + " Dialling on.");
  }
  if (failures.hinted || Clock::now() - failures.since < core.options.reverse.hint) return;
  failures.hinted = true;
  core.Warn("No client at " + core.where() + " for " +
            std::to_string(
                std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - failures.since).count()) +
            " s; the client's string needs clicon= naming this machine, and the same port. Dialling on.");
}

Awaitable<void> DialLoop(CorePointer core) {
  Failures failures;
  while (!core->closed) {
    auto stream = co_await Attempt(core);
    if (core->closed) break;
    if (stream) {
      co_await Serve(core, std::move(*stream));
      if (core->closed) break;
      failures = {};
      core->state = "dialling " + core->where();
      if (core->once())
        co_return core->End({Errc::kClosed, "The one connection of retry=0 has ended; restart the server."});
    } else if (core->once()) {
      co_return core->End({stream.error().code,
                           stream.error().message + " Start the client first, or leave out retry=0.", 0,
                           stream.error().os_error});
    } else {
      Note(*core, failures, stream.error());
    }
    core->pause.expires_after(PauseAfter(core->options.reverse, failures.count));
    core->pausing = true;
    co_await core->pause.async_wait(kWait);
    core->pausing = false;
  }
}

Awaitable<Result<std::unique_ptr<Stream>>> AcceptReady(CorePointer core) {
  while (!core->ready && !core->closed && !core->end) co_await core->changed.async_wait(kWait);
  if (core->closed) co_return Error{Errc::kCancelled, "The listener was closed."};
  if (core->ready) co_return std::move(core->ready);
  co_return *core->end;
}

class ReverseListener final : public Listener {
 public:
  explicit ReverseListener(CorePointer core) : core_(std::move(core)) {}
  ~ReverseListener() override { Close(); }

  Awaitable<Result<std::unique_ptr<Stream>>> Accept() override { return AcceptReady(core_); }
  bool IsOver() const noexcept override { return core_->end.has_value(); }
  const Endpoint& endpoint() const noexcept override { return core_->endpoint; }
  std::string state() const override { return core_->closed ? "closed" : core_->state; }
  std::optional<milliseconds> next_attempt() const override {
    if (core_->closed || !core_->pausing) return std::nullopt;
    const auto left = std::chrono::ceil<milliseconds>(core_->pause.expiry() - Clock::now());
    return std::max(left, milliseconds(0));
  }
  void Close() noexcept override {
    if (core_->closed) return;
    core_->closed = true;
    if (core_->proving) core_->proving->Close();
    core_->ready.reset();
    core_->pause.cancel();
    core_->changed.cancel();
  }

 private:
  CorePointer core_;
};

}  // namespace

Result<void> CheckReverse(const Endpoint& endpoint, const ServerSecurity& security, bool open) {
  const std::string& host = *endpoint.clicon;
  if (host == "*") {
    return Error{Errc::kUsage,
                 "clicon=* is for the client, which waits; a server needs the name of the client's machine."};
  }
  if (security.authenticates() || open || IsThisMachine(host)) return {};
  return Error{Errc::kUsage,
               "Dialling " + host +
                   " without a password would give that machine the target; give password= or -open."};
}

Result<std::unique_ptr<Listener>> ListenReverse(Executor executor, Endpoint endpoint, ListenOptions options,
                                                ServerSecurity security) {
  const auto core = std::make_shared<Core>(std::move(executor), std::move(endpoint), std::move(options),
                                           std::move(security));
  if (const auto checked = CheckReverse(core->endpoint, core->security, core->options.open); !checked)
    return checked.error();
  if (!core->security.authenticates() && core->options.open) {
    core->Warn("No password and -open: whoever answers at " + core->where() + " controls the target.");
  }
  core->state = "dialling " + core->where();
  boost::asio::co_spawn(core->executor, DialLoop(core), [core](std::exception_ptr failure) {
    if (failure && !core->closed)
      core->End({Errc::kInternal, "The dialling ended by an exception; restart the server."});
  });
  return std::make_unique<ReverseListener>(core);
}

}  // namespace longwire
