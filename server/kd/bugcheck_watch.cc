#include "server/kd/bugcheck_watch.h"

#include <cctype>
#include <charconv>

namespace longwire {
namespace {

constexpr std::string_view kMarker = "*** Fatal System Error: 0x";
constexpr std::size_t kTailBytes = 1024;

bool TakeHex(std::string_view& text, std::uint64_t& value) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  // A 64-bit pointer may be printed with a backquote in the middle.
  std::string digits;
  while (!text.empty() && digits.size() < 17 &&
         (std::isxdigit(static_cast<unsigned char>(text[0])) || text[0] == '`')) {
    if (text[0] != '`') digits.push_back(text[0]);
    text.remove_prefix(1);
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return error == std::errc{} && !digits.empty() && end == digits.data() + digits.size();
}

void SkipBlanks(std::string_view& text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text[0]))) text.remove_prefix(1);
}

}  // namespace

void BugcheckWatch::OnPrint(std::string_view text) {
  tail_.append(text);
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  const std::size_t at = tail_.rfind(kMarker);
  if (at == std::string::npos) return;
  std::string_view rest = std::string_view(tail_).substr(at + kMarker.size());
  std::uint64_t value = 0;
  if (!TakeHex(rest, value)) return;
  rpc::Bugcheck bugcheck;
  bugcheck.code = static_cast<std::uint32_t>(value);
  SkipBlanks(rest);
  if (rest.starts_with('(')) {
    for (auto& parameter : bugcheck.parameters) {
      rest.remove_prefix(1);
      SkipBlanks(rest);
      if (!TakeHex(rest, parameter)) break;
      SkipBlanks(rest);
      if (!rest.starts_with(',')) break;
    }
  }
  found_ = bugcheck;
}

void BugcheckWatch::Clear() {
  tail_.clear();
  found_.reset();
}

}  // namespace longwire
