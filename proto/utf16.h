#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace longwire {

/// UTF-16 to UTF-8; unpaired surrogates become U+FFFD.
std::string Utf8FromUtf16(std::u16string_view text);
/// The same of UTF-16LE bytes; an odd last byte is left out.
std::string Utf8FromUtf16(std::span<const std::byte> bytes);

}  // namespace longwire
