#include <cctype>

#include "client/commands/command.h"

namespace longwire {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

void Arguments::SkipBlanks() {
  while (!text_.empty() && IsBlank(text_.front())) text_.remove_prefix(1);
}

bool Arguments::AtEnd() {
  SkipBlanks();
  return text_.empty();
}

std::string_view Arguments::Word() {
  SkipBlanks();
  std::size_t length = 0;
  while (length < text_.size() && !IsBlank(text_[length])) ++length;
  std::string_view word = text_.substr(0, length);
  text_.remove_prefix(length);
  return word;
}

std::string Arguments::TakeRest() {
  SkipBlanks();
  std::string_view rest = text_;
  while (!rest.empty() && IsBlank(rest.back())) rest.remove_suffix(1);
  text_ = {};
  return std::string(rest);
}

bool Arguments::Option(std::string_view option) {
  SkipBlanks();
  std::string_view before = text_;
  std::string_view word = Word();
  bool switch_like =
      option.size() > 1 && option.front() == '/' && word.size() == option.size() && word.front() == '-';
  if (!word.empty() && (word == option || (switch_like && word.substr(1) == option.substr(1)))) return true;
  text_ = before;
  return false;
}

Result<std::uint64_t> Arguments::Expression() {
  if (AtEnd()) return Error{Errc::kUsage, "^ Numeric expression missing from ''"};
  return EvaluateMasm(text_, session_.Evaluation());
}

Result<std::uint64_t> Arguments::Address() {
  Result<std::uint64_t> value = Expression();
  if (value) *value = session_.Plain(*value);
  return value;
}

Result<AddressRange> Arguments::Range(unsigned element_size) {
  SkipBlanks();
  Result<AddressRange> range = ParseRange(text_, element_size, session_.Evaluation());
  if (range) range->address = session_.Plain(range->address);
  return range;
}

Result<void> Arguments::ExpectEnd() {
  if (AtEnd()) return {};
  return Error{Errc::kUsage, "^ Extra character error in '" + TakeRest() + "'"};
}

Result<std::uint64_t> Arguments::AddressOrHere() {
  if (AtEnd()) {
    Result<const RegisterSet*> registers = session_.Registers();
    if (!registers) return registers.error();
    return (*registers)->program_counter();
  }
  Result<std::uint64_t> address = Address();
  if (!address) return address.error();
  if (Result<void> end = ExpectEnd(); !end) return end.error();
  return *address;
}

std::string_view Arguments::OptionLetters() {
  SkipBlanks();
  if (text_.size() < 2 || (text_.front() != '/' && text_.front() != '-')) return {};
  return Word().substr(1);
}

Error SyntaxError(std::string_view text) {
  return Error{Errc::kUsage, "^ Syntax error in '" + std::string(text) + "'"};
}

}  // namespace longwire
