#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "proto/error.h"
#include "transport/spake2.h"

namespace longwire {

/// What passes inside TLS before the first frame: u8 kind, u16 little-endian size, body.
///
///   client          server
///   share    --->
///            <---   [hold]  share
///   confirm  --->
///            <---   confirm, or refused
struct PasswordShare {
  Spake2::Share point{};
};
struct PasswordConfirm {
  Spake2::Confirmation tag{};
};
/// The server will go on after this time; guesses from one address are slowed.
struct PasswordHold {
  std::chrono::milliseconds time{0};
};
/// For good, or with `later` only for now: too many guesses came from this address. The body is the text,
/// then a NUL and one byte 1 if `later`; without them from older servers.
struct PasswordRefused {
  std::string text;
  bool later = false;
};
using PasswordMessage = std::variant<PasswordShare, PasswordConfirm, PasswordHold, PasswordRefused>;

inline constexpr std::size_t kPasswordHeaderBytes = 3;
inline constexpr std::size_t kMaxPasswordBodyBytes = 256;
inline constexpr std::chrono::milliseconds kMaxPasswordHold{60'000};

std::vector<std::byte> EncodePasswordMessage(const PasswordMessage& message);

struct DecodedPasswordMessage {
  PasswordMessage message;
  std::size_t size = 0;  ///< bytes of the input it took
};
/// The first message of `bytes`; nullopt: more bytes are needed.
Result<std::optional<DecodedPasswordMessage>> DecodePasswordMessage(std::span<const std::byte> bytes);

}  // namespace longwire
