#include "client/commands/number_text.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cinttypes>
#include <cstdio>

namespace longwire {

std::string HexDigits(std::uint64_t value, unsigned width) {
  char text[40];
  std::snprintf(text, sizeof text, "%0*" PRIx64, static_cast<int>(std::min(width, 16u)), value);
  return text;
}

std::string DataHex(std::uint64_t value) {
  if (value == 0) return "0";
  if (value >> 32 == 0) return "0x" + HexDigits(value);
  return "0x" + HexDigits(value >> 32) + "`" + HexDigits(value & 0xffffffff, 8);
}

std::string GeneralFloat(double value, int precision) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*g", std::clamp(precision, 1, 20), value);
  std::string result = text;
  const std::size_t exponent = result.find('e');
  if (exponent != std::string::npos && result.size() - exponent == 4) result.insert(exponent + 2, "0");
  return result;
}

float FloatOfBits(std::uint32_t bits) { return std::bit_cast<float>(bits); }
double DoubleOfBits(std::uint64_t bits) { return std::bit_cast<double>(bits); }

std::string PadRight(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

std::string PadLeft(std::string text, std::size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

char PrintableOrDot(unsigned char c) { return c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '.'; }

bool EqualsIgnoringCase(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

}  // namespace longwire
