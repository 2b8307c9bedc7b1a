#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"
#include "transport/endpoint_environment.h"

struct x509_st;
struct evp_pkey_st;

namespace longwire {

/// OpenSSL's X509 and EVP_PKEY.
using Certificate = std::shared_ptr<x509_st>;
using PrivateKey = std::shared_ptr<evp_pkey_st>;

/// What `certuser=` (the user's store) or `machuser=` (the machine's) says: the path of a PEM file (it holds
/// a '/'), a SHA-1 or SHA-256 thumbprint (blanks and colons do not count), the name of a file in the store
/// without ".pem", or the common name of a certificate in it. Layout: docs/certificates.md.
struct CertificateName {
  std::string text;
  bool machine = false;
};

struct CertificateDirectories {
  std::string user, machine;
};
/// $XDG_CONFIG_HOME/longwire/certificates or ~/.config/..., and /etc/longwire/certificates
/// (LONGWIRE_CERTIFICATES_DIRECTORY names another).
CertificateDirectories CertificateStores(const Environment& environment);

/// A certificate that can be shown: leaf first, then those that lead to its authority.
struct TlsIdentity {
  std::vector<Certificate> chain;
  PrivateKey key;
};

struct ServerCertificate {
  TlsIdentity identity;
  std::vector<Certificate>
      client_authorities;  ///< NAME.clients.pem; not empty: clients must show a certificate
};
/// The certificate a server shows. Errors name the file and the cause: kNotFound, kAuthentication (expired,
/// not for servers, key of another certificate), kMalformed, kIo.
Result<ServerCertificate> FindServerCertificate(const CertificateName& name,
                                                const CertificateDirectories& stores);

/// What a client accepts: a server whose certificate is one of these, or leads to one that is an authority.
struct ExpectedServer {
  std::string name;                       ///< as written, for messages
  std::optional<std::string> thumbprint;  ///< lower-case hexadecimal; given: nothing else is accepted
  std::vector<Certificate> certificates;
  std::optional<TlsIdentity> own;  ///< NAME.client.pem: shown when the server asks
};
Result<ExpectedServer> FindExpectedServer(const CertificateName& name, const CertificateDirectories& stores);

/// Lower-case hexadecimal digits without separators: 64, or 40 with `sha1`.
std::string Thumbprint(const x509_st& certificate, bool sha1 = false);
/// The common name of the subject, or "" if it has none. Control characters become '?'.
std::string CommonName(const x509_st& certificate);
/// Why the certificate cannot be a server's now (not yet or no longer valid, made for something else);
/// nullopt: it can.
std::optional<std::string> ServerDefect(x509_st& certificate);
/// `text` as thumbprint: the 40 or 64 lower-case digits, or nullopt.
std::optional<std::string> ParseThumbprint(std::string_view text);

}  // namespace longwire
