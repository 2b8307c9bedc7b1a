#include "transport/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace longwire {

/// OpenSSL works on two memory buffers; this file moves bytes between them and the stream below.
///
///   WriteAll -> SSL_write -> outgoing -> below      below -> incoming -> SSL_read -> ReadSome
struct TlsStream::Core {
  Core(const Executor& executor, std::unique_ptr<Stream> under, TlsContext with)
      : below(std::move(under)),
        context(std::move(with)),
        ssl(SSL_new(context.get()), SSL_free),
        turn(executor) {
    turn.expires_at(std::chrono::steady_clock::time_point::max());
    incoming = BIO_new(BIO_s_mem());
    outgoing = BIO_new(BIO_s_mem());
    // An empty buffer means "wait for more", not the end of the stream.
    BIO_set_mem_eof_return(incoming, -1);
    BIO_set_mem_eof_return(outgoing, -1);
    SSL_set_bio(ssl.get(), incoming, outgoing);
    KeepRefusal(ssl.get(), &refusal);
    peer = below->peer();
  }

  std::unique_ptr<Stream> below;
  PeerInfo peer;       ///< of `below`, with the certificate
  TlsRefusal refusal;  ///< why the peer's certificate was refused
  std::shared_ptr<Finding> finding = std::make_shared<Finding>(Finding::kNone);  ///< of the last failure
  TlsContext context;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl;
  BIO* incoming = nullptr;  ///< owned by ssl
  BIO* outgoing = nullptr;  ///< owned by ssl
  std::vector<std::byte> received = std::vector<std::byte>(32u << 10);
  std::vector<std::byte> sending;
  bool flushing = false;           ///< the reader may have to send too (key update), so there are two writers
  boost::asio::steady_timer turn;  ///< never expires; cancelled when `flushing` ends
  bool owes_byte = false;  ///< TryWrite() encrypted one byte more than it said, because not all went out
  std::optional<std::size_t> received_left;
};

namespace {

using CorePointer = std::shared_ptr<TlsStream::Core>;

/// Largest part of a write that is encrypted before it is sent: bounds memory, keeps writes large.
constexpr std::size_t kEncryptedAtOnce = 64u << 10;

bool IsAboutVersions(int reason) {
  return reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION ||
         reason == SSL_R_VERSION_TOO_LOW || reason == SSL_R_WRONG_SSL_VERSION;
}

/// Alerts of a peer that does not like our certificate, or the lack of one.
bool IsAboutCertificates(int reason) {
  switch (reason) {
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED: return true;
    default: return false;
  }
}

Error TlsError(const TlsStream::Core& core) {
  const unsigned long number = ERR_get_error();
  const int reason = number != 0 ? ERR_GET_REASON(number) : 0;
  const std::string& who = core.peer.address;
  if (core.refusal.finding != Finding::kNone) {
    *core.finding = core.refusal.finding;
    return {Errc::kAuthentication, "The certificate of " + who + " is refused: " + core.refusal.text};
  }
  if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    *core.finding = Finding::kClientCertificateRefused;
    return {Errc::kAuthentication,
            "The certificate of " + who +
                " is refused: " + X509_verify_cert_error_string(SSL_get_verify_result(core.ssl.get())) + "."};
  }
  if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    *core.finding = Finding::kClientCertificateWanted;
    return {Errc::kAuthentication, who + " showed no certificate, but one is asked for."};
  }
  const char* words = number != 0 ? ERR_reason_error_string(number) : nullptr;
  const std::string text = words ? words : "the peer does not speak it";
  if (IsAboutVersions(reason)) {
    *core.finding = Finding::kTlsVersion;
    return {Errc::kVersionMismatch, "No TLS version in common with " + who + " (" + text +
                                        "); with a password both sides need TLS 1.3, else the same proto=."};
  }
  if (IsAboutCertificates(reason)) {
    *core.finding = reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED ? Finding::kClientCertificateWanted
                                                                      : Finding::kClientCertificateRefused;
    return {Errc::kAuthentication, who + " refused this side's certificate (" + text + ")."};
  }
  *core.finding = Finding::kTlsFailed;
  return {Errc::kMalformed, "TLS with " + who + " failed: " + text + "."};
}

void NotePeerCertificate(TlsStream::Core& core) {
  const std::unique_ptr<X509, decltype(&X509_free)> shown(SSL_get1_peer_certificate(core.ssl.get()),
                                                          X509_free);
  if (shown) core.peer.certificate = Thumbprint(*shown);
}

/// Sends what OpenSSL wants sent.
Awaitable<Result<void>> Flush(CorePointer core) {
  while (core->flushing) {
    co_await core->turn.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  core->flushing = true;
  Result<void> done;
  while (done && BIO_ctrl_pending(core->outgoing) > 0) {
    core->sending.resize(BIO_ctrl_pending(core->outgoing));
    BIO_read(core->outgoing, core->sending.data(), static_cast<int>(core->sending.size()));
    done = co_await core->below->WriteAll(core->sending, {});
  }
  core->flushing = false;
  core->turn.cancel();
  co_return done;
}

/// Gets bytes of the peer for OpenSSL.
Awaitable<Result<void>> Feed(CorePointer core) {
  const auto count = co_await core->below->ReadSome(core->received);
  if (!count) co_return count.error();
  if (*count == 0) {
    co_return Error{Errc::kClosed,
                    core->below->peer().address + " closed the connection without ending TLS."};
  }
  if (core->received_left) {
    if (*count > *core->received_left) {
      co_return Error{Errc::kLimitExceeded,
                      core->below->peer().address + " sent too much before it proved itself."};
    }
    *core->received_left -= *count;
  }
  BIO_write(core->incoming, core->received.data(), static_cast<int>(*count));
  co_return Result<void>();
}

Awaitable<Result<void>> ShakeHands(CorePointer core) {
  for (;;) {
    ERR_clear_error();
    const int outcome = SSL_do_handshake(core->ssl.get());
    const int reason = outcome == 1 ? SSL_ERROR_NONE : SSL_get_error(core->ssl.get(), outcome);
    const Error error = reason == SSL_ERROR_SSL ? TlsError(*core) : Error{};
    // A failure leaves an alert for the peer to send.
    const auto flushed = co_await Flush(core);
    if (reason == SSL_ERROR_SSL) co_return error;
    if (!flushed) co_return flushed.error();
    if (reason == SSL_ERROR_NONE) co_return Result<void>();
    if (reason != SSL_ERROR_WANT_READ) co_return TlsError(*core);
    if (const auto fed = co_await Feed(core); !fed) co_return fed.error();
  }
}

Awaitable<Result<std::size_t>> Read(CorePointer core, std::span<std::byte> out) {
  for (;;) {
    ERR_clear_error();
    const int wanted = static_cast<int>(std::min<std::size_t>(out.size(), 1u << 20));
    const int count = SSL_read(core->ssl.get(), out.data(), wanted);
    const int reason = count > 0 ? SSL_ERROR_NONE : SSL_get_error(core->ssl.get(), count);
    const Error error = reason == SSL_ERROR_SSL ? TlsError(*core) : Error{};
    if (BIO_ctrl_pending(core->outgoing) > 0 && !core->flushing) {
      if (const auto flushed = co_await Flush(core); !flushed && count <= 0) co_return flushed.error();
    }
    if (count > 0) co_return static_cast<std::size_t>(count);
    if (reason == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
    if (reason == SSL_ERROR_SSL) co_return error;
    if (reason != SSL_ERROR_WANT_READ) co_return TlsError(*core);
    if (const auto fed = co_await Feed(core); !fed) co_return fed.error();
  }
}

Awaitable<Result<void>> Write(CorePointer core, std::span<const std::byte> head,
                              std::span<const std::byte> body) {
  if (core->owes_byte && !(head.empty() && body.empty())) {
    core->owes_byte = false;
    std::span<const std::byte>& part = head.empty() ? body : head;
    part = part.subspan(1);
    if (const auto flushed = co_await Flush(core); !flushed) co_return flushed.error();
  }
  while (!head.empty() || !body.empty()) {
    for (std::size_t room = kEncryptedAtOnce; room > 0 && (!head.empty() || !body.empty());) {
      std::span<const std::byte>& part = head.empty() ? body : head;
      const std::size_t count = std::min(part.size(), room);
      ERR_clear_error();
      if (SSL_write(core->ssl.get(), part.data(), static_cast<int>(count)) != static_cast<int>(count)) {
        co_return TlsError(*core);
      }
      part = part.subspan(count);
      room -= count;
    }
    if (const auto flushed = co_await Flush(core); !flushed) co_return flushed.error();
  }
  co_return Result<void>();
}

Awaitable<Result<void>> Shutdown(CorePointer core) {
  ERR_clear_error();
  SSL_shutdown(core->ssl.get());
  if (const auto flushed = co_await Flush(core); !flushed) co_return flushed.error();
  co_return co_await core->below->ShutdownWrite();
}

}  // namespace

Awaitable<Result<std::unique_ptr<TlsStream>>> TlsStream::Handshake(Executor executor,
                                                                   std::unique_ptr<Stream> below,
                                                                   TlsContext context, Start start) {
  const auto core = std::make_shared<Core>(executor, std::move(below), std::move(context));
  if (!core->ssl) co_return Error{Errc::kInternal, "OpenSSL could not begin a session."};
  core->received_left = start.received_limit;
  if (start.finding) core->finding = start.finding;
  BIO_write(core->incoming, start.received.data(), static_cast<int>(start.received.size()));
  start.side == Side::kServer ? SSL_set_accept_state(core->ssl.get())
                              : SSL_set_connect_state(core->ssl.get());
  if (const auto shaken = co_await ShakeHands(core); !shaken) co_return shaken.error();
  NotePeerCertificate(*core);
  co_return std::make_unique<TlsStream>(core);
}

TlsStream::TlsStream(std::shared_ptr<Core> core) : core_(std::move(core)) {}
TlsStream::~TlsStream() { Close(); }

Awaitable<Result<std::size_t>> TlsStream::ReadSome(std::span<std::byte> out) { return Read(core_, out); }
Awaitable<Result<void>> TlsStream::WriteAll(std::span<const std::byte> head,
                                            std::span<const std::byte> body) {
  return Write(core_, head, body);
}
std::size_t TlsStream::TryWrite(std::span<const std::byte> data) noexcept {
  Core& core = *core_;
  const bool busy = core.flushing || core.owes_byte || BIO_ctrl_pending(core.outgoing) > 0;
  if (busy || data.empty() || data.size() > kEncryptedAtOnce) return 0;
  ERR_clear_error();
  if (SSL_write(core.ssl.get(), data.data(), static_cast<int>(data.size())) !=
      static_cast<int>(data.size())) {
    return 0;
  }
  core.sending.resize(BIO_ctrl_pending(core.outgoing));
  BIO_read(core.outgoing, core.sending.data(), static_cast<int>(core.sending.size()));
  const std::size_t sent = core.below->TryWrite(core.sending);
  if (sent == core.sending.size()) return data.size();
  // What is encrypted cannot be taken back: the rest goes out first in the WriteAll() that has to follow.
  const auto rest = std::span<const std::byte>(core.sending).subspan(sent);
  BIO_write(core.outgoing, rest.data(), static_cast<int>(rest.size()));
  core.owes_byte = true;
  return data.size() - 1;
}
Awaitable<Result<void>> TlsStream::ShutdownWrite() { return Shutdown(core_); }
void TlsStream::Close() noexcept { core_->below->Close(); }
const PeerInfo& TlsStream::peer() const noexcept { return core_->peer; }
void TlsStream::LiftLimit() noexcept { core_->received_left.reset(); }

Result<TlsStream::ExportedKey> TlsStream::ExportKey(std::string_view label) const {
  ExportedKey key{};
  if (SSL_export_keying_material(core_->ssl.get(), reinterpret_cast<unsigned char*>(key.data()), key.size(),
                                 label.data(), label.size(), nullptr, 0, 0) != 1) {
    return TlsError(*core_);
  }
  return key;
}

}  // namespace longwire
