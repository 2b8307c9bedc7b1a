#include "proto/kdnet/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

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

Bytes Crypt(const Block& key, const Tag& vector, ByteView text, bool encrypt) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(EVP_CIPHER_CTX_new(),
                                                                                EVP_CIPHER_CTX_free);
  Need(context != nullptr);
  Need(EVP_CipherInit_ex(context.get(), EVP_aes_256_cbc(), nullptr, Raw(key), Raw(vector), encrypt) == 1);
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
  const Bytes text = Join(first, second);
  Block hash{};
  unsigned size = 0;
  Need(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Raw(text), text.size(), Raw(hash.data()),
            &size) != nullptr);
  Tag tag{};
  std::copy_n(hash.begin(), tag.size(), tag.begin());
  return tag;
}

Bytes Encrypt(const Block& key, const Tag& vector, ByteView text) { return Crypt(key, vector, text, true); }
Bytes Decrypt(const Block& key, const Tag& vector, ByteView text) { return Crypt(key, vector, text, false); }

bool Equal(const Tag& a, const Tag& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace longwire::kdnet
