#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "transport/candidates.h"
#include "transport/endpoint.h"
#include "transport/handshake_turns.h"
#include "transport/stream.h"

namespace longwire {

/// When a reverse server dials again.
struct ReverseTiming {
  std::chrono::milliseconds first{1'000};     ///< between the first attempts, and after a peer has left
  std::chrono::milliseconds longest{10'000};  ///< the pause doubles up to this; `retry=SECONDS` overrides it
  unsigned steady = 10;                       ///< attempts before the pause begins to double
  std::chrono::milliseconds hint{60'000};     ///< without success for this long: say once what may be wrong;
                                              ///< `connecttimeout=` overrides it
};

struct ListenOptions {
  bool open = false;  ///< -open: unauthenticated tcp may listen beyond loopback
  /// At a limit the oldest is dropped for the newest. The host of an IPv6 address is its /64 network.
  CandidateLimits candidates;
  HandshakeLimits handshakes;  ///< above it they wait
  std::function<void(const std::string& line)>
      warn;  ///< refused peers, passing errors; never holds a secret; may be empty
  std::function<void(const std::string& line)> notice;  ///< what a reverse server does; may be empty
  ReverseTiming reverse;
};

/// Accepts peers on a server endpoint. A stream it hands out has finished TLS and the password exchange, so
/// one slow or hostile peer never delays another. Accept errors (EMFILE ...) are logged and survived.
class Listener {
 public:
  virtual ~Listener() = default;
  /// kCancelled after Close(). A reverse server gives one peer at a time: the next is dialled when the stream
  /// of the last was closed. With retry=0 it gives up after its one connection, or attempt: then the error of
  /// the attempt, or kClosed, and IsOver() holds.
  virtual Awaitable<Result<std::unique_ptr<Stream>>> Accept() = 0;
  /// No peer will ever come again, though nobody called Close().
  virtual bool IsOver() const noexcept { return false; }
  /// For people: "listening", "dialling desk7 port 1033 (12 attempts; connection refused)", ...
  virtual std::string state() const = 0;
  /// Of a reverse server between two attempts: the time until the next.
  virtual std::optional<std::chrono::milliseconds> next_attempt() const { return std::nullopt; }
  /// With the port or pipe name really in use.
  virtual const Endpoint& endpoint() const noexcept = 0;
  virtual void Close() noexcept = 0;
};

/// Binds at once; errors name the address and the next step. With a password this hashes it (some 50 ms).
Result<std::unique_ptr<Listener>> Listen(Executor executor, Endpoint endpoint, ListenOptions options = {});

struct DialOptions {
  bool open = false;  ///< -open: a reverse client without a password may listen beyond loopback
  std::function<void(const std::string& line)>
      notice;  ///< the port a reverse client chose, refused peers; may be empty
  std::optional<std::chrono::milliseconds> limit;  ///< instead of `connecttimeout=` and its default
};

/// Connects, runs TLS and the password exchange. With clicon it listens instead, for the first peer that is
/// the machine clicon names, and then no longer. Deadline: Endpoint::connect_timeout_seconds, 10 s by
/// default, 60 s with clicon. A wrong password gives kAuthentication with 0x80004005 in the text.
Awaitable<Result<std::unique_ptr<Stream>>> Dial(Executor executor, Endpoint endpoint, DialOptions options);
/// With the options as they are. Not a default argument: gcc 12 destroys temporary aggregates of a co_await
/// expression twice.
Awaitable<Result<std::unique_ptr<Stream>>> Dial(Executor executor, Endpoint endpoint);

}  // namespace longwire
