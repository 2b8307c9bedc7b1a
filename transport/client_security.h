#pragma once

#include <memory>
#include <optional>

#include "transport/deadline.h"
#include "transport/endpoint.h"
#include "transport/password.h"
#include "transport/stream.h"
#include "transport/tls_context.h"
#include "transport/tls_stream.h"

namespace longwire {

/// What a client endpoint does before it speaks frames: TLS, checking who answers, and proving the password.
/// The same whoever dialled: the client is the TLS client and proves the password in a reverse connection
/// too.
class ClientSecurity {
 public:
  /// Reads certificates and hashes the password (some 50 ms).
  static Result<ClientSecurity> Make(const Endpoint& endpoint);

  /// False: frames go over the bare stream.
  bool acts() const { return tls_ != nullptr; }
  /// Whether the server proves who it is.
  bool authenticates() const { return authenticates_; }

  /// The caller bounds the time with `deadline`, which a wait that the server announces extends, and keeps
  /// this object until the end.
  Awaitable<Result<std::unique_ptr<Stream>>> Secure(Executor executor, std::unique_ptr<Stream> stream,
                                                    ScopedDeadline& deadline) const;
  /// The two halves of Secure(), for who wants to know how far it gets. `finding` as in TlsStream::Start.
  Awaitable<Result<std::unique_ptr<TlsStream>>> ShakeHands(Executor executor, std::unique_ptr<Stream> stream,
                                                           std::shared_ptr<Finding> finding) const;
  Awaitable<Result<void>> Prove(TlsStream& tls, ScopedDeadline& deadline) const;

 private:
  TlsContext tls_;
  std::optional<PasswordKey> key_;
  bool authenticates_ = false;
  bool secure_protocol_ = false;
};

}  // namespace longwire
