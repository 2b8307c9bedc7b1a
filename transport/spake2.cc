#include "transport/spake2.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>

#include <algorithm>

namespace longwire {
namespace {

// RFC 9382 section 6.
constexpr const char* kPointM = "02886E2F97ACE46E55BA9DD7242579F2993B64E16EF3DCAB95AFD497333D8FA12F";
constexpr const char* kPointN = "03D8BBD6C639C62937B04D997F38C3770719C629D7014D49A24B4F98BAA1292B49";

using GroupPointer = std::unique_ptr<EC_GROUP, decltype(&EC_GROUP_free)>;
using PointPointer = std::unique_ptr<EC_POINT, decltype(&EC_POINT_clear_free)>;
using NumberPointer = std::unique_ptr<BIGNUM, decltype(&BN_clear_free)>;
using ContextPointer = std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)>;

Error CryptoFailed() { return {Errc::kInternal, "The password exchange failed inside OpenSSL."}; }
Error BadShare() {
  return {Errc::kAuthentication, "The peer sent an invalid point in the password exchange."};
}

/// P-256 and scratch space. Every operation returns null or false on failure.
class Curve {
 public:
  Curve()
      : group_(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1), EC_GROUP_free),
        context_(BN_CTX_secure_new(), BN_CTX_free) {}

  PointPointer NewPoint() const { return {EC_POINT_new(group_.get()), EC_POINT_clear_free}; }

  PointPointer FromHex(const char* hex) const {
    return {EC_POINT_hex2point(group_.get(), hex, nullptr, context_.get()), EC_POINT_clear_free};
  }

  /// Checks that the point is on the curve and not at infinity; the cofactor is 1.
  PointPointer FromBytes(std::span<const std::byte> bytes) const {
    PointPointer point = NewPoint();
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    if (bytes.size() != Spake2::kShareBytes || data[0] != POINT_CONVERSION_UNCOMPRESSED ||
        EC_POINT_oct2point(group_.get(), point.get(), data, bytes.size(), context_.get()) != 1 ||
        EC_POINT_is_on_curve(group_.get(), point.get(), context_.get()) != 1 ||
        EC_POINT_is_at_infinity(group_.get(), point.get()) == 1) {
      point.reset();
    }
    return point;
  }

  bool ToBytes(const EC_POINT* point, Spake2::Share& out) const {
    if (EC_POINT_is_at_infinity(group_.get(), point) == 1) return false;
    return EC_POINT_point2oct(group_.get(), point, POINT_CONVERSION_UNCOMPRESSED,
                              reinterpret_cast<unsigned char*>(out.data()), out.size(),
                              context_.get()) == out.size();
  }

  /// factor * base, base null: the generator. One scalar per call: the form with two may take a variable-time
  /// path.
  PointPointer Multiply(const EC_POINT* base, const BIGNUM* factor) const {
    PointPointer product = NewPoint();
    const int done =
        base ? EC_POINT_mul(group_.get(), product.get(), nullptr, base, factor, context_.get())
             : EC_POINT_mul(group_.get(), product.get(), factor, nullptr, nullptr, context_.get());
    if (done != 1) product.reset();
    return product;
  }

  PointPointer Add(const EC_POINT* left, const EC_POINT* right) const {
    PointPointer sum = NewPoint();
    if (EC_POINT_add(group_.get(), sum.get(), left, right, context_.get()) != 1) sum.reset();
    return sum;
  }

  bool Negate(EC_POINT* point) const { return EC_POINT_invert(group_.get(), point, context_.get()) == 1; }

  const BIGNUM* order() const { return EC_GROUP_get0_order(group_.get()); }
  BN_CTX* scratch() const { return context_.get(); }

 private:
  GroupPointer group_;
  ContextPointer context_;
};

NumberPointer ToNumber(std::span<const std::byte> bytes) {
  NumberPointer number(BN_secure_new(), BN_clear_free);
  BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()),
            number.get());
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

bool ToScalar(const BIGNUM* number, Spake2::Scalar& out) {
  return BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) ==
         static_cast<int>(out.size());
}

void Append(std::vector<std::byte>& transcript, std::span<const std::byte> part) {
  for (int i = 0; i < 8; ++i)
    transcript.push_back(static_cast<std::byte>(std::uint64_t{part.size()} >> (8 * i)));
  transcript.insert(transcript.end(), part.begin(), part.end());
}

Spake2::Confirmation Mac(std::span<const std::byte> key, std::span<const std::byte> data) {
  Spake2::Confirmation mac{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(),
       reinterpret_cast<unsigned char*>(mac.data()), &size);
  return mac;
}

/// RFC 9382 section 4: KcA || KcB = HKDF(salt nil, Ka, "ConfirmationKeys" || AAD), 32 bytes, which is one
/// block.
Spake2::Confirmation ConfirmationKeys(std::span<const std::byte> ka, std::span<const std::byte> additional) {
  const std::array<std::byte, 32> no_salt{};
  const Spake2::Confirmation extracted = Mac(no_salt, ka);
  constexpr std::string_view kInfo = "ConfirmationKeys";
  std::vector<std::byte> info(kInfo.size() + additional.size() + 1);
  std::transform(kInfo.begin(), kInfo.end(), info.begin(), [](char c) { return static_cast<std::byte>(c); });
  std::copy(additional.begin(), additional.end(), info.begin() + kInfo.size());
  info.back() = std::byte{1};
  return Mac(extracted, info);
}

}  // namespace

Result<Spake2::Scalar> ReduceToScalar(std::span<const std::byte> hash) {
  const Curve curve;
  const NumberPointer wide = ToNumber(hash);
  const NumberPointer reduced(BN_secure_new(), BN_clear_free);
  Spake2::Scalar scalar{};
  if (BN_mod(reduced.get(), wide.get(), curve.order(), curve.scratch()) != 1 ||
      !ToScalar(reduced.get(), scalar)) {
    return CryptoFailed();
  }
  return scalar;
}

bool EqualConfirmations(std::span<const std::byte> left, std::span<const std::byte> right) {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

Result<Spake2> Spake2::Make(Setup setup) {
  const Curve curve;
  const NumberPointer number(BN_secure_new(), BN_clear_free);
  Scalar secret{};
  if (BN_priv_rand_range(number.get(), curve.order()) != 1 || !ToScalar(number.get(), secret))
    return CryptoFailed();
  return MakeWithScalar(std::move(setup), secret);
}

Result<Spake2> Spake2::MakeWithScalar(Setup setup, const Scalar& secret) {
  const Curve curve;
  Spake2 exchange;
  exchange.setup_ = std::move(setup);
  exchange.secret_ = secret;
  // A: x*P + w*M; B: y*P + w*N.
  const PointPointer blind = curve.FromHex(exchange.setup_.side == Side::kA ? kPointM : kPointN);
  const PointPointer own = curve.Multiply(nullptr, ToNumber(secret).get());
  const PointPointer mask = curve.Multiply(blind.get(), ToNumber(exchange.setup_.w).get());
  if (!own || !mask) return CryptoFailed();
  const PointPointer sum = curve.Add(own.get(), mask.get());
  if (!sum || !curve.ToBytes(sum.get(), exchange.share_)) return CryptoFailed();
  return exchange;
}

Result<Spake2::Keys> Spake2::Finish(std::span<const std::byte> peer_share) const {
  const Curve curve;
  const bool is_a = setup_.side == Side::kA;
  const PointPointer peer = curve.FromBytes(peer_share);
  if (!peer) return BadShare();
  // A: x*(pB - w*N); B: y*(pA - w*M).
  const PointPointer blind = curve.FromHex(is_a ? kPointN : kPointM);
  const PointPointer mask = curve.Multiply(blind.get(), ToNumber(setup_.w).get());
  if (!mask || !curve.Negate(mask.get())) return CryptoFailed();
  const PointPointer bare = curve.Add(peer.get(), mask.get());
  if (!bare) return CryptoFailed();
  const PointPointer product = curve.Multiply(bare.get(), ToNumber(secret_).get());
  Share shared{};
  if (!product || !curve.ToBytes(product.get(), shared)) return BadShare();

  std::vector<std::byte> transcript;
  Append(transcript, std::as_bytes(std::span(setup_.identity_a)));
  Append(transcript, std::as_bytes(std::span(setup_.identity_b)));
  Append(transcript, is_a ? std::span<const std::byte>(share_) : peer_share);
  Append(transcript, is_a ? peer_share : std::span<const std::byte>(share_));
  Append(transcript, shared);
  Append(transcript, setup_.w);
  std::array<std::byte, 32> hash{};  // Ke || Ka
  SHA256(reinterpret_cast<const unsigned char*>(transcript.data()), transcript.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  const Confirmation keys = ConfirmationKeys(std::span(hash).subspan(16), setup_.additional);
  Keys result;
  std::copy_n(hash.begin(), result.shared.size(), result.shared.begin());
  result.a = Mac(std::span(keys).first(16), transcript);
  result.b = Mac(std::span(keys).last(16), transcript);
  OPENSSL_cleanse(transcript.data(), transcript.size());
  OPENSSL_cleanse(shared.data(), shared.size());
  OPENSSL_cleanse(hash.data(), hash.size());
  return result;
}

}  // namespace longwire
