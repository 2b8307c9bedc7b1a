#pragma once

#include <memory>

#include "proto/error.h"

struct ssl_ctx_st;

namespace longwire {

/// OpenSSL's SSL_CTX. Made in tls_context.cc and nowhere else, so that versions and verification are decided
/// in one place.
using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// TLS 1.3 only, with a fresh self-signed P-256 certificate. What it lacks in identity the password exchange
/// inside provides, bound to this very TLS session.
Result<TlsContext> MakeEphemeralServerContext();
/// The client side of the same: TLS 1.3 only, no certificate is checked.
Result<TlsContext> MakeUnverifiedClientContext();

}  // namespace longwire
