#include "transport/server_security.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "proto/rpc/frame.h"
#include "transport/tls_stream.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kHandshakeBytes = 32u << 10;
constexpr std::byte kTlsHandshakeRecord{0x16}, kTlsClientHello{0x01};
/// RFC 8446 5.1: type, version, length. It allows 2^14 bytes, but hellos have some 500, with post-quantum key
/// shares 2000, and a thousand strangers may each have begun one.
constexpr std::size_t kRecordHead = 5, kLargestHello = 4u << 10;

std::size_t BodyBytes(const std::vector<std::byte>& record) {
  return std::to_integer<std::size_t>(record[3]) << 8 | std::to_integer<std::size_t>(record[4]);
}

/// As far as the first byte behind the head tells.
bool IsHello(const std::vector<std::byte>& record) {
  return record.size() > kRecordHead && record[1] == std::byte{3} && record[kRecordHead] == kTlsClientHello &&
         BodyBytes(record) <= kLargestHello;
}

/// How much the first record has, as far as what came of it tells.
std::size_t WantedBytes(const std::vector<std::byte>& record) {
  if (record.empty()) return 1;
  if (record[0] != kTlsHandshakeRecord) return record.size();
  if (record.size() <= kRecordHead) return kRecordHead + 1;
  return IsHello(record) ? kRecordHead + BodyBytes(record) : record.size();
}

/// Says why in the frames that the peer seems to speak, and lets it read that.
Awaitable<void> Reject(Stream& stream, Error error) {
  const auto reject = rpc::EncodeFrameHead({0, rpc::Reject{error.code, error.message}, {}});
  auto done = co_await stream.WriteAll(reject, {});
  if (done) done = co_await stream.ShutdownWrite();
  if (!done) co_return;
  // Closing with unread bytes would reset the connection and take the text away from the client.
  std::vector<std::byte> rest(1024);
  for (std::size_t total = 0; total < kHandshakeBytes;) {
    const auto count = co_await stream.ReadSome(rest);
    if (!count || *count == 0) break;
    total += *count;
  }
}

Error NoPassword() {
  return {
      Errc::kAuthentication,
      "The server asks for a password and got none (Error 0x80004005); add password= to the client string."};
}

}  // namespace

Result<ServerSecurity> ServerSecurity::Make(const Endpoint& endpoint) {
  ServerSecurity security;
  const auto versions = VersionsOf(endpoint);
  if (!versions) return versions.error();
  if (IsSecure(endpoint.protocol)) {
    const auto name = CertificateOf(endpoint);
    if (!name) return Error{Errc::kUsage, "A secure server needs certuser= or machuser=."};
    const auto certificate = FindServerCertificate(*name, CertificateStores(ProcessEnvironment()));
    if (!certificate) return certificate.error();
    auto tls = MakeServerContext(*certificate, *versions);
    if (!tls) return tls.error();
    security.tls_ = std::move(*tls);
    security.asks_certificate_ = !certificate->client_authorities.empty();
    security.protocol_name_ = endpoint.protocol == Protocol::kSsl ? "ssl:" : "spipe:";
  }
  if (!endpoint.password) return security;
  const auto key = DerivePasswordKey(*endpoint.password);
  if (!key) return key.error();
  security.key_ = *key;
  if (security.tls_) return security;
  auto tls = MakeEphemeralServerContext();
  if (!tls) return tls.error();
  security.tls_ = std::move(*tls);
  return security;
}

/// A client that begins with a frame instead of TLS.
Awaitable<Error> ServerSecurity::RefusePlain(std::unique_ptr<Stream> stream) const {
  Error error = NoPassword();
  if (!protocol_name_.empty()) {
    error = {Errc::kAuthentication, "The server speaks " + protocol_name_ +
                                        " and was addressed without TLS; use " + protocol_name_ +
                                        " with its proto= and certificate in the client string."};
  }
  co_await Reject(*stream, error);
  error.code = Errc::kMalformed;  // here: no password was guessed
  co_return error;
}

/// Complete, so that nobody is given a turn for a byte; what does not begin like TLS as far as it came.
Awaitable<Result<std::vector<std::byte>>> ServerSecurity::ReadFirstRecord(Stream& stream) {
  std::vector<std::byte> record;
  std::array<std::byte, 1024> more;
  while (record.size() < WantedBytes(record)) {
    const auto count = co_await stream.ReadSome(more);
    if (!count) co_return count.error();
    if (*count == 0) {
      co_return Error{Errc::kClosed,
                      stream.peer().address + (record.empty() ? " said nothing." : " left in the hello.")};
    }
    record.insert(record.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(*count));
  }
  co_return record;
}

Awaitable<Result<std::unique_ptr<Stream>>> ServerSecurity::Secure(Executor executor,
                                                                  std::unique_ptr<Stream> stream,
                                                                  ScopedDeadline& deadline, Hooks hooks) {
  const std::string host = HostOf(stream->peer());
  auto first = co_await ReadFirstRecord(*stream);
  if (!first) co_return first.error();
  if (first->front() != kTlsHandshakeRecord) co_return co_await RefusePlain(std::move(stream));
  if (!IsHello(*first))
    co_return Error{Errc::kMalformed, "TLS began with something else than a hello of at most 4 KiB."};
  if (hooks.turn) {
    const auto turn = co_await hooks.turn();
    if (!turn) co_return turn.error();
  }
  // Named, not a temporary: gcc 12 destroys temporary aggregates of a co_await expression twice.
  const std::size_t left = kHandshakeBytes - first->size();
  TlsStream::Start start{TlsStream::Side::kServer, std::move(*first), left};
  auto tls = co_await TlsStream::Handshake(executor, std::move(stream), tls_, std::move(start));
  if (!tls) co_return tls.error();
  if (!key_) {
    (*tls)->LiftLimit();
    co_return std::move(*tls);
  }
  const auto guess = co_await HearGuess(**tls);
  if (!guess && guess.error().code == Errc::kMalformed) {
    // Most likely a frame: a client with the certificate and without the password.
    Error error = NoPassword();
    co_await Reject(**tls, error);
    error.code = Errc::kMalformed;
    co_return error;
  }
  if (!guess) co_return guess.error();
  const auto hold = throttle_.Begin(host, Clock::now());
  if (!hold) {
    const std::string text = "Too many wrong passwords from your address (Error 0x80004005); wait a minute.";
    (void)co_await RefusePassword(**tls, text, true);
    co_return Error{Errc::kBusy, "too many attempts"};
  }
  if (hold->count() > 0) deadline.Extend(*hold);
  const auto judged = co_await JudgeGuess(executor, **tls, *key_, *guess, *hold);
  // Breaking off after seeing the server's share is a guess too, so only success is not counted.
  throttle_.End(host, Clock::now(), !judged);
  if (!judged) co_return judged.error();
  (*tls)->LiftLimit();
  co_return std::move(*tls);
}

std::size_t ServerSecurity::failures(const PeerInfo& peer) const { return throttle_.failures(HostOf(peer)); }

std::string HostOf(const PeerInfo& peer) {
  if (peer.user_id) return "user " + std::to_string(*peer.user_id);
  const std::string host = peer.address.substr(0, peer.address.rfind(':'));
  in6_addr six{};
  if (host.size() < 2 || host.front() != '[') return host;
  const std::string inner = host.substr(1, host.find_first_of("%]") - 1);
  if (::inet_pton(AF_INET6, inner.c_str(), &six) != 1 || IN6_IS_ADDR_V4MAPPED(&six)) return host;
  std::fill(six.s6_addr + 8, six.s6_addr + 16, std::uint8_t{0});
  char text[INET6_ADDRSTRLEN];
  return std::string(::inet_ntop(AF_INET6, &six, text, sizeof text)) + "/64";
}

Result<TlsVersions> VersionsOf(const Endpoint& endpoint) {
  if (endpoint.password && endpoint.proto == "tls1.2") {
    return Error{Errc::kUsage,
                 "proto=tls1.2 cannot carry a password, which needs TLS 1.3; write proto=tls1."};
  }
  if (endpoint.password || endpoint.proto == "tls1.3") return TlsVersions::k13;
  return endpoint.proto == "tls1.2" ? TlsVersions::k12 : TlsVersions::k12OrNewer;
}

std::optional<CertificateName> CertificateOf(const Endpoint& endpoint) {
  if (endpoint.certuser) return CertificateName{*endpoint.certuser, false};
  if (endpoint.machuser) return CertificateName{*endpoint.machuser, true};
  return std::nullopt;
}

}  // namespace longwire
