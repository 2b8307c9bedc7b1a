#pragma once

#include <array>
#include <cstddef>

#include "proto/kd/bytes.h"

namespace longwire::kdnet {

using kd::Bytes;
using kd::ByteView;

inline constexpr std::size_t kBlockSize = 32, kTagSize = 16, kCipherBlockSize = 16;
using Block = std::array<std::byte, kBlockSize>;  ///< a key or a nonce
using Tag = std::array<std::byte, kTagSize>;

/// The algorithms of kd-protocol.md 6.3, by OpenSSL. They fail only when memory is exhausted, which ends the
/// program.
Block Sha256(ByteView first, ByteView second);
/// First 16 bytes of HMAC-SHA-256 over `first` and `second`.
Tag Authenticate(const Block& key, ByteView first, ByteView second);
/// AES-256-CBC without padding; `text` is a multiple of 16 bytes.
Bytes Encrypt(const Block& key, const Tag& vector, ByteView text);
Bytes Decrypt(const Block& key, const Tag& vector, ByteView text);
/// Compares in a time that does not depend on the contents.
bool Equal(const Tag& a, const Tag& b);

}  // namespace longwire::kdnet
