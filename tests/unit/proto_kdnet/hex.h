#pragma once

#include <string>
#include <string_view>

#include "proto/kd/bytes.h"

namespace longwire::kdnet {

/// Pairs of hexadecimal digits, blanks between them or not.
inline kd::Bytes FromHex(std::string_view text) {
  kd::Bytes bytes;
  std::string digits;
  for (const char c : text) {
    if (c != ' ') digits += c;
  }
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

inline std::string ToHex(kd::ByteView bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

template <std::size_t kSize>
std::array<std::byte, kSize> Filled(int first) {
  std::array<std::byte, kSize> bytes{};
  for (std::size_t i = 0; i < kSize; ++i) bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
  return bytes;
}

}  // namespace longwire::kdnet
