#include <cctype>

#include "client/engine/evaluator_parser.h"

namespace longwire {
namespace {

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = std::tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 99;
}

struct NumberParts {
  std::string_view digits;
  unsigned radix = 16;
};

// Splits prefix and suffix off a number. A prefix always wins. `h` is a suffix only behind a leading decimal
// digit: a symbol such as `each` is no number.
NumberParts SplitNumber(std::string_view word, unsigned radix) {
  if (word.size() >= 2 && word[0] == '0') {
    switch (std::tolower(static_cast<unsigned char>(word[1]))) {
      case 'x': return {word.substr(2), 16};
      case 'n': return {word.substr(2), 10};
      case 't': return {word.substr(2), 8};
      case 'y': return {word.substr(2), 2};
      default: break;
    }
  }
  if (std::isdigit(static_cast<unsigned char>(word[0])) &&
      std::tolower(static_cast<unsigned char>(word.back())) == 'h') {
    return {word.substr(0, word.size() - 1), 16};
  }
  return {word, radix};
}

}  // namespace

bool IsNumberWord(std::string_view word, unsigned radix) {
  if (word.empty() || word[0] == '`') return false;
  const NumberParts parts = SplitNumber(word, radix);
  for (const char c : parts.digits) {
    if (c != '`' && DigitValue(c) >= static_cast<int>(parts.radix)) return false;
  }
  return true;
}

std::uint64_t MasmParser::Number(std::string_view word) {
  const NumberParts parts = SplitNumber(word, scope_.radix);
  std::uint64_t value = 0;
  bool back_quote = false;
  for (const char c : parts.digits) {
    if (c == '`') {
      back_quote = true;
      continue;
    }
    std::uint64_t next = 0;
    if (__builtin_mul_overflow(value, static_cast<std::uint64_t>(parts.radix), &next) ||
        __builtin_add_overflow(next, static_cast<std::uint64_t>(DigitValue(c)), &next)) {
      return Fail(Errc::kLimitExceeded, "Overflow error at", position_ - word.size());
    }
    value = next;
  }
  const bool short_enough = PointerSize(scope_.architecture) == 4 || parts.digits.size() <= 8;
  return scope_.sign_extend_32 && !back_quote && short_enough ? Extend(value) : value;
}

}  // namespace longwire
