#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longwire::gdb {

/// Text forms of the GDB remote protocol, used by either side.

/// Two lower-case digits a byte, in memory order.
std::string EncodeHex(std::span<const std::byte> bytes);
/// nullopt: an odd count or a character that is no digit. Both cases are accepted.
std::optional<std::vector<std::byte>> DecodeHex(std::string_view text);

/// A number as the protocol writes addresses and lengths: hexadecimal, big end first, no prefix.
std::string EncodeNumber(std::uint64_t value);
/// nullopt: empty, too large for 64 bits, or not all digits.
std::optional<std::uint64_t> DecodeNumber(std::string_view text);

/// The part before `separator`, taken off `text` together with it; all of `text` when there is none.
std::string_view TakeField(std::string_view& text, char separator);

/// Bytes of a binary part (`X`, `x`, `vFile`) as packet text; escaping is the framer's work.
std::string ToText(std::span<const std::byte> bytes);
std::vector<std::byte> ToBytes(std::string_view text);

}  // namespace longwire::gdb
