#pragma once

#include <string>
#include <string_view>

#include "proto/error.h"
#include "proto/kdnet/cipher.h"

namespace longwire::kdnet {

/// What both ends derive from the text `w.x.y.z` (kd-protocol.md 6.3).
struct Key {
  Block control{};  ///< encrypts the control channel
  Block mac{};      ///< authenticates both channels
};

/// Four base-36 numbers below 2^64, of 1 to 13 digits. The error (kUsage) does not hold the text.
Result<Key> ParseKey(std::string_view text);
/// The text of a key made of 32 random bytes.
std::string FormatKey(const Block& control);

}  // namespace longwire::kdnet
