#include "client/engine/session_log.h"

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace longwire {
namespace {

void AppendUnit(std::string& out, std::uint32_t unit) {
  out += static_cast<char>(unit & 0xFF);
  out += static_cast<char>(unit >> 8);
}

/// What is no UTF-8 becomes U+FFFD, byte by byte.
std::string Utf16FromUtf8(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    const std::size_t size = first < 0x80             ? 1
                             : (first & 0xE0) == 0xC0 ? 2
                             : (first & 0xF0) == 0xE0 ? 3
                             : (first & 0xF8) == 0xF0 ? 4
                                                      : 0;
    bool whole = size != 0 && size <= text.size() - i;
    std::uint32_t code = size <= 1 ? first : first & (0x7Fu >> size);
    for (std::size_t k = 1; whole && k < size; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      whole = (next & 0xC0) == 0x80;
      code = code << 6 | (next & 0x3F);
    }
    if (!whole || code > 0x10FFFF) {
      AppendUnit(out, 0xFFFD);
      ++i;
      continue;
    }
    if (code >= 0x10000) {
      AppendUnit(out, 0xD7C0 + (code >> 10));
      AppendUnit(out, 0xDC00 + (code & 0x3FF));
    } else {
      AppendUnit(out, code);
    }
    i += size;
  }
  return out;
}

}  // namespace

Result<void> SessionLog::Open(const std::string& path, Options options) {
  Close();
  file_.reset(std::fopen(path.c_str(), options.append ? "abe" : "wbe"));
  if (!file_)
    return Error{Errc::kIo, "Log file could not be opened: '" + path + "': " + std::strerror(errno)};
  path_ = path;
  unicode_ = options.unicode;
  // A file that is appended to begins with its mark already, unless it is new.
  if (unicode_ && std::fseek(file_.get(), 0, SEEK_END) == 0 && std::ftell(file_.get()) == 0)
    Write("\xEF\xBB\xBF");
  return {};
}

void SessionLog::Close() {
  file_.reset();
  path_.clear();
}

bool SessionLog::Write(std::string_view text) {
  if (!file_ || text.empty()) return true;
  const std::string bytes = unicode_ ? Utf16FromUtf8(text) : std::string(text);
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) == bytes.size();
  // What a crash would take away is what one wants to read then.
  if (written && std::fflush(file_.get()) == 0) return true;
  Close();
  return false;
}

}  // namespace longwire
