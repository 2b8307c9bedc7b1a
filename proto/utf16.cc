#include "proto/utf16.h"

#include <cstdint>

namespace longwire {
namespace {

void Append(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
    return;
  }
  const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr unsigned char kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(kLead[more] | code >> (6 * more));
  for (int shift = 6 * (more - 1); shift >= 0; shift -= 6)
    out += static_cast<char>(0x80 | (code >> shift & 0x3F));
}

bool IsHigh(char16_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool IsLow(char16_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

}  // namespace

std::string Utf8FromUtf16(std::u16string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!IsHigh(text[i]) && !IsLow(text[i])) {
      Append(out, text[i]);
    } else if (IsHigh(text[i]) && i + 1 < text.size() && IsLow(text[i + 1])) {
      Append(out, 0x10000 + ((text[i] - 0xD800u) << 10) + (text[i + 1] - 0xDC00u));
      ++i;
    } else {
      Append(out, 0xFFFD);
    }
  }
  return out;
}

std::string Utf8FromUtf16(std::span<const std::byte> bytes) {
  std::u16string text;
  text.reserve(bytes.size() / 2);
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    text += static_cast<char16_t>(std::to_integer<unsigned>(bytes[i]) |
                                  std::to_integer<unsigned>(bytes[i + 1]) << 8);
  }
  return Utf8FromUtf16(text);
}

}  // namespace longwire
