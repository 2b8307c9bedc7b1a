#include "proto/kdnet/handshake.h"

#include <algorithm>

namespace longwire::kdnet {
namespace {

constexpr std::byte kMark{1}, kIsOffer{1}, kIsResponse{2};
constexpr std::size_t kNonceAt = 2, kTargetAt = 34, kConfiguredAt = 52, kCurrentAt = 70;
constexpr std::size_t kHostNonceAt = 34;

Place LoadPlace(ByteView body, std::size_t at) {
  Place place;
  std::copy_n(body.begin() + static_cast<std::ptrdiff_t>(at), place.address.size(), place.address.begin());
  const std::size_t port = at + place.address.size();
  place.port = static_cast<std::uint16_t>(kd::Load8(body, port) << 8 | kd::Load8(body, port + 1));
  return place;
}

void StorePlace(Bytes& body, std::size_t at, const Place& place) {
  std::copy(place.address.begin(), place.address.end(), body.begin() + static_cast<std::ptrdiff_t>(at));
  body[at + place.address.size()] = static_cast<std::byte>(place.port >> 8);
  body[at + place.address.size() + 1] = static_cast<std::byte>(place.port);
}

}  // namespace

std::optional<Offer> DecodeOffer(ByteView body) {
  if (body.size() != kOfferSize || body[0] != kMark || body[1] != kIsOffer) return std::nullopt;
  Offer offer;
  std::copy_n(body.begin() + kNonceAt, kBlockSize, offer.nonce.begin());
  offer.target = LoadPlace(body, kTargetAt);
  offer.configured_host = LoadPlace(body, kConfiguredAt);
  offer.current_host = LoadPlace(body, kCurrentAt);
  return offer;
}

Bytes EncodeOffer(const Offer& offer) {
  Bytes body(kOfferSize);
  body[0] = kMark;
  body[1] = kIsOffer;
  std::copy(offer.nonce.begin(), offer.nonce.end(), body.begin() + kNonceAt);
  StorePlace(body, kTargetAt, offer.target);
  StorePlace(body, kConfiguredAt, offer.configured_host);
  StorePlace(body, kCurrentAt, offer.current_host);
  return body;
}

Bytes EncodeResponse(const Block& target_nonce, const Block& host_nonce) {
  Bytes body(kResponseSize);
  body[0] = kMark;
  body[1] = kIsResponse;
  std::copy(target_nonce.begin(), target_nonce.end(), body.begin() + kNonceAt);
  std::copy(host_nonce.begin(), host_nonce.end(), body.begin() + kHostNonceAt);
  return body;
}

bool AnswersOffer(ByteView body, const Block& target_nonce) {
  return body.size() == kResponseSize && body[0] == kMark && body[1] == kIsResponse &&
         std::equal(target_nonce.begin(), target_nonce.end(), body.begin() + kNonceAt);
}

Block DataKey(const Block& control_key, ByteView response) { return Sha256(control_key, response); }

}  // namespace longwire::kdnet
