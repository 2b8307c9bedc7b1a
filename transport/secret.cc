#include "transport/secret.h"

#include <openssl/crypto.h>

namespace longwire {

Secret::Secret(Secret&& other) noexcept : text_(other.text_) {
  // Moving a short std::string copies its bytes and leaves them behind, so the source is wiped by hand.
  OPENSSL_cleanse(other.text_.data(), other.text_.size());
  other.text_.clear();
}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  OPENSSL_cleanse(text_.data(), text_.size());
  text_ = other.text_;
  OPENSSL_cleanse(other.text_.data(), other.text_.size());
  other.text_.clear();
  return *this;
}

Secret::~Secret() { OPENSSL_cleanse(text_.data(), text_.size()); }

}  // namespace longwire
