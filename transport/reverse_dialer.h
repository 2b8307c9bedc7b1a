#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "transport/client_security.h"
#include "transport/listener.h"

namespace longwire {

/// The client side of a reverse connection (remote-debugging.md 2.7): listens until the server that clicon
/// names dials in. `security` must outlive the call.
Awaitable<Result<std::unique_ptr<Stream>>> AwaitServer(Executor executor, Endpoint endpoint,
                                                       DialOptions options, const ClientSecurity& security);

/// Its first half, for who wants to know how far it gets: listens for as long as this object lives.
class ReverseWait {
 public:
  using Time = std::chrono::steady_clock::time_point;
  virtual ~ReverseWait() = default;

  /// Resolves clicon and takes the port. kUsage: `this_machine_only`, and clicon is another machine. Of a
  /// port that cannot be had the error has errno.
  static Awaitable<Result<std::unique_ptr<ReverseWait>>> Begin(Executor executor, Endpoint endpoint,
                                                               bool this_machine_only, Time until);
  /// Whoever dials in next, without TLS or password; nullptr: `until` has passed.
  virtual Awaitable<std::unique_ptr<Stream>> Next(Time until) = 0;
  /// Whether this is the machine that clicon names.
  virtual bool Admits(const PeerInfo& peer) const = 0;
  virtual bool admits_everybody() const = 0;
  virtual std::uint16_t port() const = 0;
};

}  // namespace longwire
