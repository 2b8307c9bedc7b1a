#include "proto/kdnet/cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <memory>
#include <new>

namespace longwire::kdnet {
namespace {

const unsigned char* Raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* Raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

void Need(bool done) {
  if (!done) throw std::bad_alloc();
}

Bytes Join(ByteView first, ByteView second) {
  Bytes bytes(first.begin(), first.end());
  bytes.insert(bytes.end(), second.begin(), second.end());
  return bytes;
}

// To look an algorithm up by its name takes longer than to run it over a datagram.
const EVP_CIPHER* Cipher() {
  static const EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  Need(kCipher != nullptr);
  return kCipher;
}

EVP_MAC* Hmac() {
  static EVP_MAC* const kHmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  Need(kHmac != nullptr);
  return kHmac;
}

Bytes Crypt(const Block& key, const Tag& vector, ByteView text, bool encrypt) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  Need(context != nullptr);
  Need(EVP_CipherInit_ex(context.get(), Cipher(), nullptr, Raw(key), Raw(vector), encrypt) == 1);
  EVP_CIPHER_CTX_set_padding(context.get(), 0);
  Bytes out(text.size() + kCipherBlockSize);
  int size = 0;
  Need(EVP_CipherUpdate(context.get(), Raw(out.data()), &size, Raw(text), static_cast<int>(text.size())) ==
       1);
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace

Block Sha256(ByteView first, ByteView second) {
  const Bytes text = Join(first, second);
  Block hash{};
  unsigned size = 0;
  Need(EVP_Digest(text.data(), text.size(), Raw(hash.data()), &size, EVP_sha256(), nullptr) == 1);
  return hash;
}

Tag Authenticate(const Block& key, ByteView first, ByteView second) {
  const std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)> context(EVP_MAC_CTX_new(Hmac()),
                                                                          EVP_MAC_CTX_free);
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  Block hash{};
  std::size_t size = 0;
  Need(context != nullptr && EVP_MAC_init(context.get(), Raw(key), key.size(), parameters) == 1 &&
       EVP_MAC_update(context.get(), Raw(first), first.size()) == 1 &&
       EVP_MAC_update(context.get(), Raw(second), second.size()) == 1 &&
       EVP_MAC_final(context.get(), Raw(hash.data()), &size, hash.size()) == 1);
  Tag tag{};
  std::copy_n(hash.begin(), tag.size(), tag.begin());
  return tag;
}

Bytes Encrypt(const Block& key, const Tag& vector, ByteView text) { return Crypt(key, vector, text, true); }
Bytes Decrypt(const Block& key, const Tag& vector, ByteView text) { return Crypt(key, vector, text, false); }

bool Equal(const Tag& a, const Tag& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace longwire::kdnet
