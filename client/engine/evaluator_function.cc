#include <algorithm>
#include <cctype>

#include "client/engine/evaluator_parser.h"
#include "client/symbols/wildcard.h"

namespace longwire {
namespace {

constexpr std::uint64_t kPageSize = 0x1000;
constexpr std::uint64_t kMaximumCheckedLength = 256u << 20;

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

// A string argument: "text" with `\` escapes, or @"text" without.
std::string MasmParser::ReadString() {
  SkipBlanks();
  bool literal = false;
  if (Peek() == '@') {
    literal = true;
    ++position_;
  }
  const std::size_t start = position_;
  std::string value;
  if (Peek() != '"') {
    Fail(Errc::kUsage, "Syntax error at", start);
    return value;
  }
  for (++position_; position_ < text_.size(); ++position_) {
    char c = text_[position_];
    if (c == '"') {
      ++position_;
      return value;
    }
    // A pattern needs its other escapes itself, so only an escaped quote is taken apart here.
    if (c == '\\' && !literal && Peek(1) == '"') c = text_[++position_];
    value += c;
  }
  Fail(Errc::kUsage, "Syntax error at", start);
  return value;
}

std::uint64_t MasmParser::Function(std::string_view name) {
  const std::size_t start = position_ - name.size();
  const std::string function = Lower(std::string(name));
  std::uint64_t (MasmParser::*body)() = nullptr;
  bool ignore_case = false;
  if (function == "$iment") body = &MasmParser::ImageEntry;
  if (function == "$spat") body = &MasmParser::MatchPattern;
  if (function == "$vvalid") body = &MasmParser::AllReadable;
  const bool compares = function == "$scmp" || function == "$sicmp";
  ignore_case = function == "$sicmp";
  if (!body && !compares) {
    Fail(Errc::kUnsupported, "Function not supported error at", start);
    return 0;
  }
  ++position_;  // (
  const std::uint64_t value = compares ? CompareStrings(ignore_case) : (this->*body)();
  Expect(')');
  return value;
}

// -1, 0 or 1 as strcmp gives them.
std::uint64_t MasmParser::CompareStrings(bool ignore_case) {
  std::string left = ReadString();
  Expect(',');
  std::string right = failed_ ? std::string() : ReadString();
  if (ignore_case) {
    left = Lower(std::move(left));
    right = Lower(std::move(right));
  }
  const int order = left.compare(right);
  return order == 0 ? 0 : order < 0 ? ~std::uint64_t{0} : 1;
}

std::uint64_t MasmParser::MatchPattern() {
  const std::string text = ReadString();
  Expect(',');
  if (failed_) return 0;
  return Wildcard(ReadString(), Wildcard::Underscore::kLiteral).Matches(text);
}

std::uint64_t MasmParser::ImageEntry() {
  const std::uint64_t base = Binary(7);
  // IMAGE_DOS_HEADER.e_lfanew, then IMAGE_OPTIONAL_HEADER.AddressOfEntryPoint: the same place in PE32 and
  // PE32+.
  const std::uint64_t header = Load(base + 0x3c, 4, false, position_);
  const std::uint64_t entry = Load(base + header + 0x28, 4, false, position_);
  return base + entry;
}

std::uint64_t MasmParser::AllReadable() {
  std::uint64_t address = Binary(7);
  Expect(',');
  std::uint64_t length = failed_ ? 0 : Binary(7);
  if (failed_) return 0;
  if (length > kMaximumCheckedLength) return Fail(Errc::kLimitExceeded, "Range error at", position_);
  while (length > 0) {
    std::byte byte{};
    const Result<std::size_t> got = scope_.read_virtual(address, std::span(&byte, 1));
    if (!got && got.error().code != Errc::kUnreadable) return FailWith(got.error());
    if (!got || *got != 1) return 0;
    const std::uint64_t step = std::min(length, kPageSize - address % kPageSize);
    address += step;
    length -= step;
  }
  return 1;
}

}  // namespace longwire
