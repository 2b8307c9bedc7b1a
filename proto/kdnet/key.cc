#include "proto/kdnet/key.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace longwire::kdnet {
namespace {

constexpr int kParts = 4;
constexpr std::size_t kMostDigits = 13;
constexpr std::uint64_t kRadix = 36;

std::optional<std::uint64_t> DigitOf(char c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint64_t>(c - '0');
  if (c >= 'a' && c <= 'z') return static_cast<std::uint64_t>(c - 'a') + 10;
  if (c >= 'A' && c <= 'Z') return static_cast<std::uint64_t>(c - 'A') + 10;
  return std::nullopt;
}

std::optional<std::uint64_t> NumberOf(std::string_view part) {
  if (part.empty() || part.size() > kMostDigits) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : part) {
    const auto digit = DigitOf(c);
    if (!digit || number > (~std::uint64_t{0} - *digit) / kRadix) return std::nullopt;
    number = number * kRadix + *digit;
  }
  return number;
}

}  // namespace

Result<Key> ParseKey(std::string_view text) {
  const Error wrong{Errc::kUsage,
                    "a network key is four numbers of 1 to 13 characters a-z 0-9, each below 2^64, with dots "
                    "between; copy the key the target was given"};
  Key key;
  for (int part = 0; part < kParts; ++part) {
    const std::size_t dot = text.find('.');
    if ((part < kParts - 1) != (dot != std::string_view::npos)) return wrong;
    const auto number = NumberOf(text.substr(0, dot));
    if (!number) return wrong;
    kd::Store(std::span<std::byte>(key.control), static_cast<std::size_t>(part) * 8, *number);
    if (dot != std::string_view::npos) text.remove_prefix(dot + 1);
  }
  std::transform(key.control.begin(), key.control.end(), key.mac.begin(), [](std::byte b) { return ~b; });
  return key;
}

std::string FormatKey(const Block& control) {
  std::string text;
  for (int part = 0; part < kParts; ++part) {
    std::uint64_t number = kd::Load64(control, static_cast<std::size_t>(part) * 8);
    std::string digits;
    do {
      digits.push_back("0123456789abcdefghijklmnopqrstuvwxyz"[number % kRadix]);
      number /= kRadix;
    } while (number != 0);
    std::reverse(digits.begin(), digits.end());
    if (part > 0) text += '.';
    text += digits;
  }
  return text;
}

}  // namespace longwire::kdnet
