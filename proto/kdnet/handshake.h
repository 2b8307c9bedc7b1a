#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "proto/kdnet/cipher.h"

namespace longwire::kdnet {

using Address = std::array<std::byte, 16>;  ///< IPv4 mapped into IPv6
struct Place {
  Address address{};
  std::uint16_t port = 0;
};

/// What a target sends every three seconds (kd-protocol.md 6.4).
struct Offer {
  Block nonce{};
  Place target;
  Place configured_host;
  Place current_host;  ///< port 0: the target has no session
};

inline constexpr std::size_t kOfferSize = 344, kResponseSize = 322;

std::optional<Offer> DecodeOffer(ByteView body);
Bytes EncodeOffer(const Offer& offer);

/// The body that answers an offer (6.5).
Bytes EncodeResponse(const Block& target_nonce, const Block& host_nonce);
/// True for the answer to the offer with this nonce.
bool AnswersOffer(ByteView body, const Block& target_nonce);
/// The key of the data channel that `response`, a whole body, agrees on.
Block DataKey(const Block& control_key, ByteView response);

}  // namespace longwire::kdnet
