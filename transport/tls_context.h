#pragma once

#include <memory>
#include <string>

#include "proto/error.h"
#include "proto/finding.h"
#include "transport/certificate_store.h"

struct ssl_ctx_st;
struct ssl_st;

namespace longwire {

/// OpenSSL's SSL_CTX. Made in tls_context.cc and nowhere else, so that versions and verification are decided
/// in one place.
using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// Which versions are offered; nothing below 1.2 exists here.
enum class TlsVersions { k13, k12, k12OrNewer };

/// TLS 1.3 only, with a fresh self-signed P-256 certificate. What it lacks in identity the password exchange
/// inside provides, bound to this very TLS session.
Result<TlsContext> MakeEphemeralServerContext();
/// No certificate is checked.
Result<TlsContext> MakeUnverifiedClientContext(TlsVersions versions = TlsVersions::k13);

/// Shows this certificate; asks clients for theirs if there are authorities for them.
Result<TlsContext> MakeServerContext(const ServerCertificate& certificate, TlsVersions versions);
/// Accepts only the server expected. `host`: where a certificate is accepted because of its authority, it
/// must be for this name or address; empty: any.
Result<TlsContext> MakeClientContext(ExpectedServer expected, const std::string& host, TlsVersions versions);

/// Why a context made here refused the peer's certificate.
struct TlsRefusal {
  Finding finding = Finding::kNone;  ///< kNone: it did not
  std::string text;
};
/// `refusal` receives it and must outlive the session.
void KeepRefusal(ssl_st* session, TlsRefusal* refusal);

}  // namespace longwire
