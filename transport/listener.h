#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/endpoint.h"
#include "transport/stream.h"

namespace longwire {

struct ListenOptions {
  bool open = false;  ///< -open: unauthenticated tcp may listen beyond loopback
  std::size_t unauthenticated_peers =
      64;  ///< at the limit the oldest peer that has not proved itself is dropped
  std::size_t unauthenticated_per_address = 32;
  std::function<void(const std::string& line)>
      warn;  ///< refused peers, passing errors; never holds a secret; may be empty
};

/// Accepts peers on a server endpoint. A stream it hands out has finished TLS and the password exchange, so
/// one slow or hostile peer never delays another. Accept errors (EMFILE ...) are logged and survived.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual Awaitable<Result<std::unique_ptr<Stream>>> Accept() = 0;
  /// With the port or pipe name really in use.
  virtual const Endpoint& endpoint() const noexcept = 0;
  virtual void Close() noexcept = 0;
};

/// Binds at once; errors name the address and the next step. With a password this hashes it (some 50 ms).
Result<std::unique_ptr<Listener>> Listen(Executor executor, Endpoint endpoint, ListenOptions options = {});

/// Connects, runs TLS and the password exchange. Deadline: Endpoint::connect_timeout_seconds, 10 s by
/// default. A wrong password gives kAuthentication with 0x80004005 in the text.
Awaitable<Result<std::unique_ptr<Stream>>> Dial(Executor executor, Endpoint endpoint);

}  // namespace longwire
