#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longwire {

/// Lower-case hexadecimal digits, zero-padded to `width`.
std::string HexDigits(std::uint64_t value, unsigned width = 1);
/// "0x11", "0xffff8504`29891720", "0" (engine.md 2.12, values of `dt`).
std::string DataHex(std::uint64_t value);
/// `%g` with the exponent's three digits that users of the debugger know: "6.36908e-022".
std::string GeneralFloat(double value, int precision = 6);
/// The value as the float or double whose bits it is.
float FloatOfBits(std::uint32_t bits);
double DoubleOfBits(std::uint64_t bits);
/// Blanks behind, or before, up to a width.
std::string PadRight(std::string text, std::size_t width);
std::string PadLeft(std::string text, std::size_t width);
/// The character of a text column: itself if printing ASCII, else '.'.
char PrintableOrDot(unsigned char c);
bool EqualsIgnoringCase(std::string_view left, std::string_view right);

}  // namespace longwire
