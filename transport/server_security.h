#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/deadline.h"
#include "transport/endpoint.h"
#include "transport/password.h"
#include "transport/password_throttle.h"
#include "transport/stream.h"
#include "transport/tls_context.h"

namespace longwire {

/// What a server endpoint asks of a peer before it serves it: TLS with its certificate (ssl, spipe), the
/// password inside TLS, or nothing. The same whoever dialled. Belongs to one executor.
class ServerSecurity {
 public:
  /// Reads the certificate and hashes the password (some 50 ms).
  static Result<ServerSecurity> Make(const Endpoint& endpoint);

  /// False: a peer is served as it comes.
  bool asks() const { return tls_ != nullptr; }
  /// Whether a peer proves who it is, by the password or by a certificate.
  bool authenticates() const { return key_ || asks_certificate_; }

  /// What the caller has a say in; each may be empty.
  struct Hooks {
    /// Its first TLS record is there, a hello: waits until the handshake may cost processor time. An error
    /// ends the connection.
    std::function<Awaitable<Result<void>>()> turn;
  };
  /// Runs TLS and the password. The caller bounds the time with `deadline`, which a wait that was announced
  /// to the peer extends, and keeps this object until the end.
  Awaitable<Result<std::unique_ptr<Stream>>> Secure(Executor executor, std::unique_ptr<Stream> stream,
                                                    ScopedDeadline& deadline, Hooks hooks);
  /// Wrong passwords of this peer's address in the last minute.
  std::size_t failures(const PeerInfo& peer) const;

 private:
  Awaitable<Error> RefusePlain(std::unique_ptr<Stream> stream) const;
  static Awaitable<Result<std::vector<std::byte>>> ReadFirstRecord(Stream& stream);

  TlsContext tls_;                  ///< set if the peer must speak TLS
  std::optional<PasswordKey> key_;  ///< set if it must know the password
  bool asks_certificate_ = false;
  std::string protocol_name_;
  PasswordThrottle throttle_;
};

/// Where guesses and connections are counted: the address without its port, of IPv6 the /64 network, which is
/// what one machine can have by itself, or the user of a local socket.
std::string HostOf(const PeerInfo& peer);

/// What `proto=` allows. With a password nothing below TLS 1.3; kUsage if the two contradict each other.
Result<TlsVersions> VersionsOf(const Endpoint& endpoint);
/// `certuser=` or `machuser=`; nullopt: neither.
std::optional<CertificateName> CertificateOf(const Endpoint& endpoint);

inline bool IsSecure(Protocol protocol) {
  return protocol == Protocol::kSsl || protocol == Protocol::kSecurePipe;
}

}  // namespace longwire
