#include <cctype>

#include "client/engine/evaluator.h"

namespace longwire {
namespace {

constexpr std::uint64_t kMaximumBytes = 256u << 20;

void SkipBlanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

// True where a range cannot begin or go on: end of the command or a string argument.
bool EndsRange(std::string_view text) {
  return text.empty() || text.front() == ';' || text.front() == '"' || text.front() == '}' ||
         text.front() == '\'';
}

bool IsLengthMark(std::string_view text) {
  return !text.empty() && (text.front() == 'L' || text.front() == 'l');
}

// A range that begins with its length ("d L20"): `L` and digits only, so that symbols with L stay symbols.
bool BeginsWithLength(std::string_view text) {
  if (!IsLengthMark(text)) return false;
  text.remove_prefix(1);
  if (!text.empty() && (text.front() == '?' || text.front() == '-')) return true;
  SkipBlanks(text);
  std::size_t digits = 0;
  while (digits < text.size() && std::isxdigit(static_cast<unsigned char>(text[digits]))) ++digits;
  return digits > 0 && (digits == text.size() || text[digits] == ' ' || text[digits] == ';');
}

Error RangeError(std::string_view whole) {
  return {Errc::kUsage, "^ Range error in '" + std::string(whole) + "'"};
}

Result<std::uint64_t> ParseAddress(std::string_view& text, const EvaluationScope& scope) {
  if (text.starts_with("%%") || text.starts_with("%")) {
    text.remove_prefix(text.starts_with("%%") ? 2 : 1);
    return EvaluateMasm(text, scope);
  }
  if (text.starts_with("#")) {
    return Error{Errc::kUnsupported,
                 "16-bit protected-mode addresses (#) are not supported; use a flat address"};
  }
  if (!text.starts_with("&")) return EvaluateMasm(text, scope);
  text.remove_prefix(1);
  const Result<std::uint64_t> segment = EvaluateMasm(text, scope);
  if (!segment) return segment;
  if (!text.starts_with(":")) return Error{Errc::kUsage, "Syntax error at '" + std::string(text) + "'"};
  text.remove_prefix(1);
  const Result<std::uint64_t> offset = EvaluateMasm(text, scope);
  if (!offset) return offset;
  return (*segment & 0xffff) * 16 + (*offset & 0xffff);
}

// `L` was taken off: [?|-] count.
Result<void> ParseLength(std::string_view& text, std::string_view whole, unsigned element_size,
                         const EvaluationScope& scope, AddressRange& range) {
  bool unlimited = false, backwards = false;
  if (text.starts_with("?")) {
    unlimited = true;
    text.remove_prefix(1);
  } else if (text.starts_with("-")) {
    backwards = true;
    text.remove_prefix(1);
  }
  EvaluationScope count_scope = scope;
  count_scope.sign_extend_32 = false;
  const Result<std::uint64_t> count = EvaluateMasm(text, count_scope);
  if (!count) return count.error();
  std::uint64_t bytes = 0;
  const bool overflows = __builtin_mul_overflow(*count, static_cast<std::uint64_t>(element_size), &bytes);
  if (overflows || (!unlimited && bytes > kMaximumBytes)) return RangeError(whole);
  if (backwards) range.address -= bytes;
  range.count = *count;
  range.has_count = true;
  return {};
}

}  // namespace

Result<AddressRange> ParseRange(std::string_view& text, unsigned element_size, const EvaluationScope& scope) {
  const std::string_view whole = text;
  if (element_size == 0) element_size = 1;
  AddressRange range;
  SkipBlanks(text);
  if (EndsRange(text)) return range;
  if (!BeginsWithLength(text)) {
    const Result<std::uint64_t> address = ParseAddress(text, scope);
    if (!address) return address.error();
    range.address = *address;
    range.has_address = true;
    SkipBlanks(text);
    if (EndsRange(text)) return range;
  }
  if (IsLengthMark(text)) {
    text.remove_prefix(1);
    if (const Result<void> length = ParseLength(text, whole, element_size, scope, range); !length)
      return length.error();
    return range;
  }
  const Result<std::uint64_t> end = ParseAddress(text, scope);
  if (!end) return end.error();
  if (*end < range.address || *end - range.address >= kMaximumBytes) return RangeError(whole);
  range.count = (*end - range.address) / element_size + 1;
  range.has_count = true;
  return range;
}

}  // namespace longwire
