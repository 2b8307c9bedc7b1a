#include "transport/tls_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <string>

namespace longwire {
namespace {

constexpr long kDay = 24 * 60 * 60;

Error OpenSslError(const std::string& what) {
  std::array<char, 160> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  return {Errc::kInternal, what + " failed: " + text.data() + "."};
}

/// Forward secrecy and authenticated encryption; concerns TLS 1.2 only, 1.3 has nothing else.
constexpr const char* kCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20";

Result<TlsContext> MakeContext(const SSL_METHOD* method, TlsVersions versions) {
  TlsContext context(SSL_CTX_new(method), SSL_CTX_free);
  const int minimum = versions == TlsVersions::k13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  const int maximum = versions == TlsVersions::k12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  if (!context || SSL_CTX_set_min_proto_version(context.get(), minimum) != 1 ||
      SSL_CTX_set_max_proto_version(context.get(), maximum) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), kCiphers12) != 1) {
    return OpenSslError("Setting up TLS");
  }
  // Resumption would carry one password proof over to another connection.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

using KeyPointer = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using CertificatePointer = std::unique_ptr<X509, decltype(&X509_free)>;

bool FillCertificate(X509* certificate, EVP_PKEY* key) {
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>("longwire");
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -kDay) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), 3650 * kDay) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

Result<void> Use(SSL_CTX* context, const TlsIdentity& identity) {
  bool done = SSL_CTX_use_certificate(context, identity.chain.front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, identity.key.get()) == 1;
  for (std::size_t i = 1; done && i < identity.chain.size(); ++i) {
    done = SSL_CTX_add1_chain_cert(context, identity.chain[i].get()) == 1;
  }
  if (!done) return OpenSslError("Using the certificate " + CommonName(*identity.chain.front()));
  return {};
}

Result<void> Trust(SSL_CTX* context, const std::vector<Certificate>& authorities) {
  for (const Certificate& authority : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) {
      return OpenSslError("Trusting the certificate " + CommonName(*authority));
    }
  }
  return {};
}

int RefusalIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int Refuse(X509_STORE_CTX* check, int reason, Finding finding, const std::string& text) {
  X509_STORE_CTX_set_error(check, reason);
  const auto* session =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(check, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* place = session ? static_cast<TlsRefusal*>(SSL_get_ex_data(session, RefusalIndex())) : nullptr;
  if (place) *place = {finding, text};
  return 0;
}

Finding FindingOf(int reason) {
  switch (reason) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return Finding::kCertificateExpired;
    case X509_V_ERR_CERT_NOT_YET_VALID: return Finding::kCertificateNotYetValid;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return Finding::kCertificateOtherName;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return Finding::kCertificateUnknownAuthority;
    default: return Finding::kCertificateUnusable;
  }
}

Finding DateFinding(const X509& leaf) {
  if (X509_cmp_current_time(X509_get0_notAfter(&leaf)) < 0) return Finding::kCertificateExpired;
  if (X509_cmp_current_time(X509_get0_notBefore(&leaf)) > 0) return Finding::kCertificateNotYetValid;
  return Finding::kCertificateUnusable;
}

bool IsNamed(const ExpectedServer& expected, const X509& leaf) {
  if (expected.thumbprint) return Thumbprint(leaf, expected.thumbprint->size() == 40) == *expected.thumbprint;
  return std::any_of(expected.certificates.begin(), expected.certificates.end(),
                     [&leaf](const Certificate& one) { return X509_cmp(one.get(), &leaf) == 0; });
}

/// Decides instead of OpenSSL's own check, which knows authorities only.
int VerifyServer(X509_STORE_CTX* check, void* argument) {
  const auto& expected = *static_cast<const ExpectedServer*>(argument);
  X509* const leaf = X509_STORE_CTX_get0_cert(check);
  if (!leaf) return Refuse(check, X509_V_ERR_CERT_REJECTED, Finding::kCertificateUnusable, "there is none.");
  const std::string shown = "it is " + CommonName(*leaf) + ", SHA-256 " + Thumbprint(*leaf);
  if (const auto defect = ServerDefect(*leaf)) {
    return Refuse(check, X509_V_ERR_CERT_REJECTED, DateFinding(*leaf), "it " + *defect + " (" + shown + ").");
  }
  if (IsNamed(expected, *leaf)) {
    X509_STORE_CTX_set_error(check, X509_V_OK);
    return 1;
  }
  const bool has_authority = !expected.thumbprint &&
                             std::any_of(expected.certificates.begin(), expected.certificates.end(),
                                         [](const Certificate& one) { return X509_check_ca(one.get()) > 0; });
  if (!has_authority) {
    return Refuse(check, X509_V_ERR_CERT_REJECTED, Finding::kCertificateNotPinned,
                  shown + ", not the one that " + expected.name + " names.");
  }
  if (X509_verify_cert(check) == 1) return 1;
  const int reason = X509_STORE_CTX_get_error(check);
  return Refuse(check, reason, FindingOf(reason),
                std::string(X509_verify_cert_error_string(reason)) + " (" + shown + ", checked with " +
                    expected.name + ").");
}

Result<void> CheckHost(SSL_CTX* context, const std::string& host) {
  if (host.empty()) return {};
  X509_VERIFY_PARAM* rules = SSL_CTX_get0_param(context);
  if (X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) == 1) return {};
  ERR_clear_error();
  if (X509_VERIFY_PARAM_set1_host(rules, host.c_str(), host.size()) == 1) return {};
  return OpenSslError("Checking certificates for " + host);
}

}  // namespace

Result<TlsContext> MakeEphemeralServerContext() {
  auto context = MakeContext(TLS_server_method(), TlsVersions::k13);
  if (!context) return context.error();
  const KeyPointer key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const CertificatePointer certificate(X509_new(), X509_free);
  if (!key || !certificate || !FillCertificate(certificate.get(), key.get()) ||
      SSL_CTX_use_certificate(context->get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context->get(), key.get()) != 1) {
    return OpenSslError("Making a certificate");
  }
  return context;
}

Result<TlsContext> MakeUnverifiedClientContext(TlsVersions versions) {
  auto context = MakeContext(TLS_client_method(), versions);
  if (context) SSL_CTX_set_verify(context->get(), SSL_VERIFY_NONE, nullptr);
  return context;
}

Result<TlsContext> MakeServerContext(const ServerCertificate& certificate, TlsVersions versions) {
  auto context = MakeContext(TLS_server_method(), versions);
  if (!context) return context.error();
  if (const auto used = Use(context->get(), certificate.identity); !used) return used.error();
  if (certificate.client_authorities.empty()) return context;
  if (const auto trusted = Trust(context->get(), certificate.client_authorities); !trusted)
    return trusted.error();
  for (const Certificate& authority : certificate.client_authorities) {
    SSL_CTX_add_client_CA(context->get(), authority.get());
  }
  SSL_CTX_set_verify(context->get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

Result<TlsContext> MakeClientContext(ExpectedServer expected, const std::string& host, TlsVersions versions) {
  auto made = MakeContext(TLS_client_method(), versions);
  if (!made) return made.error();
  const auto kept = std::make_shared<ExpectedServer>(std::move(expected));
  // The context and what it checks against live equally long.
  const TlsContext context(made->get(), [owner = *made, kept](SSL_CTX*) {});
  if (kept->own) {
    if (const auto used = Use(context.get(), *kept->own); !used) return used.error();
  }
  if (const auto trusted = Trust(context.get(), kept->certificates); !trusted) return trusted.error();
  if (const auto checked = CheckHost(context.get(), host); !checked) return checked.error();
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), VerifyServer, kept.get());
  return context;
}

void KeepRefusal(SSL* session, TlsRefusal* refusal) { SSL_set_ex_data(session, RefusalIndex(), refusal); }

}  // namespace longwire
