#include "transport/certificate_store.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace longwire {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaximumFile = 1u << 20;
constexpr std::size_t kMaximumFiles = 1024, kMaximumCertificates = 512, kMaximumName = 256;
constexpr std::string_view kPem = ".pem", kClients = ".clients.pem", kClient = ".client.pem";

Result<std::string> ReadFile(const std::string& path) {
  std::error_code failure;
  const auto size = fs::file_size(path, failure);  // fails for everything that is not a regular file
  if (failure) {
    const Errc code = failure == std::errc::no_such_file_or_directory ? Errc::kNotFound : Errc::kIo;
    return Error{code, "Cannot read " + path + ": " + failure.message() + ".", 0, failure.value()};
  }
  if (size > kMaximumFile) return Error{Errc::kLimitExceeded, path + " is larger than 1 MiB; is it PEM?"};
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  if (!file || !file.read(text.data(), static_cast<std::streamsize>(size))) {
    return Error{Errc::kIo, "Cannot read " + path + "; check its permissions."};
  }
  return text;
}

using BioPointer = std::unique_ptr<BIO, decltype(&BIO_free)>;

BioPointer Buffer(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

std::vector<Certificate> ParseCertificates(const std::string& text) {
  std::vector<Certificate> certificates;
  const BioPointer bio = Buffer(text);
  while (bio && certificates.size() < kMaximumCertificates) {
    Certificate next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (!next) break;
    certificates.push_back(std::move(next));
  }
  ERR_clear_error();
  return certificates;
}

Result<std::vector<Certificate>> ReadCertificates(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text) return text.error();
  auto certificates = ParseCertificates(*text);
  if (certificates.empty()) return Error{Errc::kMalformed, path + " holds no certificate in PEM form."};
  return certificates;
}

/// A daemon cannot be asked for a pass phrase.
int NoPassPhrase(char*, int, int, void*) { return -1; }

Result<PrivateKey> ReadKey(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 && (found.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    return Error{Errc::kAuthentication,
                 "Other users can use the private key " + path + "; run chmod 600 on it."};
  }
  const auto text = ReadFile(path);
  if (!text) return text.error();
  const BioPointer bio = Buffer(*text);
  PrivateKey key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassPhrase, nullptr) : nullptr,
                 EVP_PKEY_free);
  ERR_clear_error();
  if (key) return key;
  const bool encrypted = text->find("ENCRYPTED") != std::string::npos;
  return Error{Errc::kMalformed,
               path + (encrypted ? " has a pass phrase; remove it (openssl pkey -in ... -out ...)."
                                 : " holds no private key in PEM form.")};
}

std::string WithoutPem(const std::string& path) {
  return path.ends_with(kPem) ? path.substr(0, path.size() - kPem.size()) : path;
}

/// The key of a certificate file: FILE.key beside FILE.pem, or in the same file.
Result<TlsIdentity> ReadIdentity(const std::string& path) {
  auto chain = ReadCertificates(path);
  if (!chain) return chain.error();
  const std::string beside = WithoutPem(path) + ".key";
  std::error_code ignored;
  const bool has_file = fs::exists(beside, ignored);
  auto key = ReadKey(has_file ? beside : path);
  if (!key && !has_file && key.error().code == Errc::kMalformed) {
    return Error{Errc::kNotFound, path + " has no private key; put it into " + beside + "."};
  }
  if (!key) return key.error();
  if (X509_check_private_key(chain->front().get(), key->get()) != 1) {
    ERR_clear_error();
    return Error{Errc::kAuthentication, "The private key " + (has_file ? beside : path) +
                                            " belongs to another certificate than " + path + "."};
  }
  return TlsIdentity{std::move(*chain), std::move(*key)};
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

/// Files of a store that hold a certificate one can name, in a stable order.
std::vector<std::string> FilesOf(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code failure;
  for (fs::directory_iterator at(directory, failure), end; !failure && at != end; at.increment(failure)) {
    const std::string path = at->path().string();
    if (!path.ends_with(kPem) || path.ends_with(kClients) || path.ends_with(kClient)) continue;
    files.push_back(path);
    if (files.size() >= kMaximumFiles) break;
  }
  std::sort(files.begin(), files.end());
  return files;
}

template <class Matches>
std::optional<std::string> FindFile(const std::string& directory, Matches matches) {
  for (const std::string& path : FilesOf(directory)) {
    const auto certificates = ReadCertificates(path);
    if (certificates && matches(*certificates->front())) return path;
  }
  return std::nullopt;
}

/// The file that `name` means.
Result<std::string> Locate(const CertificateName& name, const CertificateDirectories& stores) {
  if (name.text.find('/') != std::string::npos) return name.text;
  const std::string& store = name.machine ? stores.machine : stores.user;
  std::optional<std::string> path;
  if (const auto wanted = ParseThumbprint(name.text)) {
    path = FindFile(store, [&](const X509& one) { return Thumbprint(one, wanted->size() == 40) == *wanted; });
  } else if (name.text.size() <= kMaximumName && !name.text.starts_with('.')) {
    std::error_code ignored;
    const std::string direct = store + "/" + name.text + std::string(kPem);
    const std::string wanted = LowerCase(name.text);
    path = fs::exists(direct, ignored)
               ? std::optional(direct)
               : FindFile(store, [&](const X509& one) { return LowerCase(CommonName(one)) == wanted; });
  }
  if (path) return *path;
  return Error{Errc::kNotFound, "No certificate " + name.text + " in the " +
                                    (name.machine ? "machine" : "user") + " store " + store +
                                    "; put it there as NAME.pem, or write the path of a file."};
}

std::string TimeText(const ASN1_TIME* time) {
  const BioPointer bio(BIO_new(BIO_s_mem()), BIO_free);
  if (!bio || ASN1_TIME_print(bio.get(), time) != 1) return "an unreadable date";
  std::array<char, 64> text{};
  const int size = BIO_read(bio.get(), text.data(), static_cast<int>(text.size()));
  return {text.data(), static_cast<std::size_t>(std::max(size, 0))};
}

}  // namespace

CertificateDirectories CertificateStores(const Environment& environment) {
  const auto read = [&environment](const char* name) { return environment(name).value_or(""); };
  CertificateDirectories stores{read("XDG_CONFIG_HOME"), read("LONGWIRE_CERTIFICATES_DIRECTORY")};
  if (!stores.user.starts_with('/')) stores.user = read("HOME") + "/.config";
  stores.user += "/longwire/certificates";
  if (stores.machine.empty()) stores.machine = "/etc/longwire/certificates";
  return stores;
}

Result<ServerCertificate> FindServerCertificate(const CertificateName& name,
                                                const CertificateDirectories& stores) {
  const auto path = Locate(name, stores);
  if (!path) return path.error();
  auto identity = ReadIdentity(*path);
  if (!identity) return identity.error();
  if (const auto defect = ServerDefect(*identity->chain.front())) {
    return Error{Errc::kAuthentication, "The certificate " + *path + " cannot be used: it " + *defect + "."};
  }
  ServerCertificate server{std::move(*identity), {}};
  const std::string clients = WithoutPem(*path) + std::string(kClients);
  std::error_code ignored;
  if (fs::exists(clients, ignored)) {
    auto authorities = ReadCertificates(clients);
    if (!authorities) return authorities.error();
    server.client_authorities = std::move(*authorities);
  }
  return server;
}

Result<ExpectedServer> FindExpectedServer(const CertificateName& name, const CertificateDirectories& stores) {
  ExpectedServer expected;
  expected.name = name.text;
  expected.thumbprint = ParseThumbprint(name.text);
  const auto path = Locate(name, stores);
  if (!path) {
    // A thumbprint says all there is to check; nothing needs to be in the store.
    if (expected.thumbprint) return expected;
    return path.error();
  }
  auto certificates = ReadCertificates(*path);
  if (!certificates) return certificates.error();
  expected.certificates = std::move(*certificates);
  const std::string own = WithoutPem(*path) + std::string(kClient);
  std::error_code ignored;
  if (fs::exists(own, ignored)) {
    auto identity = ReadIdentity(own);
    if (!identity) return identity.error();
    expected.own = std::move(*identity);
  }
  return expected;
}

std::string Thumbprint(const X509& certificate, bool sha1) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(&certificate, sha1 ? EVP_sha1() : EVP_sha256(), digest.data(), &size) != 1) return {};
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

std::string CommonName(const X509& certificate) {
  std::array<char, kMaximumName> text{};
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(&certificate), NID_commonName, text.data(),
                                             static_cast<int>(text.size()));
  std::string name(text.data(), static_cast<std::size_t>(std::max(size, 0)));
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return name;
}

std::optional<std::string> ServerDefect(X509& certificate) {
  const ASN1_TIME* from = X509_get0_notBefore(&certificate);
  const ASN1_TIME* to = X509_get0_notAfter(&certificate);
  if (X509_cmp_current_time(from) > 0) return "is not valid before " + TimeText(from);
  if (X509_cmp_current_time(to) < 0) return "expired on " + TimeText(to);
  if (X509_check_purpose(&certificate, X509_PURPOSE_SSL_SERVER, 0) != 1) {
    return "was not made for server authentication";
  }
  return std::nullopt;
}

std::optional<std::string> ParseThumbprint(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == ' ' || c == ':') continue;
    if (!std::isxdigit(static_cast<unsigned char>(c)) || digits.size() == 64) return std::nullopt;
    digits += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (digits.size() != 40 && digits.size() != 64) return std::nullopt;
  return digits;
}

}  // namespace longwire
