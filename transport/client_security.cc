#include "transport/client_security.h"

#include "transport/server_security.h"

namespace longwire {
namespace {

/// The name that a certificate must be for when only its authority is known.
std::string HostToCheck(const Endpoint& endpoint) {
  // The owner of a pipe's socket is checked by the system, and a pipe has no name that a certificate could
  // hold.
  if (endpoint.protocol == Protocol::kSecurePipe) return {};
  if (!endpoint.clicon) return endpoint.server;
  return *endpoint.clicon == "*" ? std::string() : *endpoint.clicon;
}

Result<TlsContext> ContextFor(const Endpoint& endpoint) {
  const auto versions = VersionsOf(endpoint);
  if (!versions) return versions.error();
  if (!IsSecure(endpoint.protocol) || endpoint.verify_none) return MakeUnverifiedClientContext(*versions);
  const auto name = CertificateOf(endpoint);
  if (!name) {
    return Error{Errc::kUsage,
                 "A secure client needs certuser= or machuser=, or verify=none to check nothing."};
  }
  auto expected = FindExpectedServer(*name, CertificateStores(ProcessEnvironment()));
  if (!expected) return expected.error();
  return MakeClientContext(std::move(*expected), HostToCheck(endpoint), *versions);
}

/// Adds what most likely is wrong when the other side does not speak as expected.
Error WithHint(Error error, bool secure_protocol) {
  if (error.code != Errc::kMalformed && error.code != Errc::kClosed && error.code != Errc::kIo) return error;
  error.message += secure_protocol ? " Is the server's string ssl: or spipe: too, and with a password?"
                                   : " Was the server started with a password?";
  return error;
}

}  // namespace

Result<ClientSecurity> ClientSecurity::Make(const Endpoint& endpoint) {
  ClientSecurity security;
  security.secure_protocol_ = IsSecure(endpoint.protocol);
  security.authenticates_ = endpoint.password || (security.secure_protocol_ && !endpoint.verify_none);
  if (!security.secure_protocol_ && !endpoint.password) return security;
  auto tls = ContextFor(endpoint);
  if (!tls) return tls.error();
  security.tls_ = std::move(*tls);
  if (!endpoint.password) return security;
  const auto key = DerivePasswordKey(*endpoint.password);
  if (!key) return key.error();
  security.key_ = *key;
  return security;
}

Awaitable<Result<std::unique_ptr<TlsStream>>> ClientSecurity::ShakeHands(
    Executor executor, std::unique_ptr<Stream> stream, std::shared_ptr<Finding> finding) const {
  TlsStream::Start start;
  start.finding = std::move(finding);
  co_return co_await TlsStream::Handshake(executor, std::move(stream), tls_, std::move(start));
}

Awaitable<Result<void>> ClientSecurity::Prove(TlsStream& tls, ScopedDeadline& deadline) const {
  if (!key_) co_return Result<void>();
  std::function<void(std::chrono::milliseconds)> on_hold = [&deadline](std::chrono::milliseconds hold) {
    deadline.Extend(hold);
  };
  co_return co_await ProvePassword(tls, *key_, std::move(on_hold));
}

Awaitable<Result<std::unique_ptr<Stream>>> ClientSecurity::Secure(Executor executor,
                                                                  std::unique_ptr<Stream> stream,
                                                                  ScopedDeadline& deadline) const {
  auto tls = co_await ShakeHands(executor, std::move(stream), nullptr);
  if (!tls) co_return WithHint(tls.error(), secure_protocol_);
  const auto proved = co_await Prove(**tls, deadline);
  if (!proved) co_return WithHint(proved.error(), secure_protocol_);
  co_return std::move(*tls);
}

}  // namespace longwire
