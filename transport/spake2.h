#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"

namespace longwire {

/// SPAKE2-P256-SHA256-HKDF-HMAC of RFC 9382: two sides that know the same `w` get the same keys, anybody else
/// one guess.
class Spake2 {
 public:
  static constexpr std::size_t kScalarBytes = 32, kShareBytes = 65, kConfirmBytes = 32;
  using Scalar = std::array<std::byte, kScalarBytes>;  ///< big-endian, below the order of the group
  using Share = std::array<std::byte, kShareBytes>;    ///< uncompressed point
  using Confirmation = std::array<std::byte, kConfirmBytes>;

  enum class Side { kA, kB };
  struct Setup {
    Side side = Side::kA;
    std::string identity_a, identity_b;
    Scalar w{};
    std::vector<std::byte> additional;  ///< AAD: what both sides must have in common besides the password
  };
  struct Keys {
    std::array<std::byte, 16> shared{};  ///< Ke
    Confirmation a{}, b{};
  };

  static Result<Spake2> Make(Setup setup);
  /// With a given secret scalar, for the vectors of the RFC.
  static Result<Spake2> MakeWithScalar(Setup setup, const Scalar& secret);

  const Share& share() const { return share_; }
  /// Refuses what is not a point of the curve, and the point at infinity.
  Result<Keys> Finish(std::span<const std::byte> peer_share) const;

 private:
  Spake2() = default;
  Setup setup_;
  Scalar secret_{};
  Share share_{};
};

/// Reduces a longer string, as a memory-hard hash gives it, to a scalar (RFC 9382 3.2).
Result<Spake2::Scalar> ReduceToScalar(std::span<const std::byte> hash);

/// Compares in a time that does not depend on where they differ.
bool EqualConfirmations(std::span<const std::byte> left, std::span<const std::byte> right);

}  // namespace longwire
