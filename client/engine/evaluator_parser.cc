#include "client/engine/evaluator_parser.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace longwire {

enum class MasmParser::Operator : std::uint8_t {
  kMultiply,
  kDivide,
  kModulo,
  kAdd,
  kSubtract,
  kShiftLeft,
  kShiftRight,
  kShiftRightArithmetic,
  kEqual,
  kNotEqual,
  kLess,
  kGreater,
  kLessOrEqual,
  kGreaterOrEqual,
  kAnd,
  kXor,
  kOr
};

namespace {

constexpr unsigned kMaximumDepth = 200;
constexpr unsigned kLastRow = 7;

bool IsWordStart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '?' || c == '$';
}

bool IsWordPart(char c) { return IsWordStart(c) || c == '@' || c == '`'; }

bool EqualsIgnoringCase(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

// The registers that win over a hexadecimal number or a symbol of the same spelling (engine.md 2.4). On x64
// the original wants `@` to be safe; here a bare `rsp` is the register too, because looking for a symbol of
// that name would load the symbols of every module first.
bool IsCommonRegister(Architecture architecture, std::string_view word) {
  static constexpr std::array kX86 = {"eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "eip", "efl"};
  static constexpr std::array kAmd64 = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip", "efl"};
  const auto same = [&](const char* name) { return EqualsIgnoringCase(word, name); };
  if (architecture == Architecture::kX86) return std::any_of(kX86.begin(), kX86.end(), same);
  return architecture == Architecture::kAmd64 && std::any_of(kAmd64.begin(), kAmd64.end(), same);
}

}  // namespace

Result<std::uint64_t> MasmParser::ParseExpression() {
  const std::uint64_t value = Binary(kLastRow);
  if (failed_) return error_;
  return value;
}

char MasmParser::Peek(std::size_t ahead) const {
  return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
}

void MasmParser::SkipBlanks() {
  while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t')) ++position_;
}

bool MasmParser::Accept(char c) {
  SkipBlanks();
  if (Peek() != c) return false;
  ++position_;
  return true;
}

void MasmParser::Expect(char c) {
  if (!failed_ && !Accept(c)) Fail(Errc::kUsage, "Syntax error at", position_);
}

std::uint64_t MasmParser::FailWith(Error error) {
  if (!failed_) error_ = std::move(error);
  failed_ = true;
  return 0;
}

// The text of an error quotes what is left of the expression from the place of the error on.
std::uint64_t MasmParser::Fail(Errc code, std::string_view what, std::size_t at) {
  std::string_view rest = text_.substr(std::min(at, text_.size()));
  while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\t')) rest.remove_suffix(1);
  return FailWith({code, std::string(what) + " '" + std::string(rest) + "'"});
}

std::uint64_t MasmParser::ExtendNarrow(std::uint64_t value) const {
  return scope_.sign_extend_32 && PointerSize(scope_.architecture) == 4 ? Extend(value) : value;
}

std::uint64_t MasmParser::Extend(std::uint64_t value) const {
  return value >= 0x80000000 && value <= 0xffffffff ? value | 0xffffffff00000000 : value;
}

bool MasmParser::FindOperator(OperatorToken& token) const {
  struct Spelling {
    std::string_view text;
    Operator op;
    unsigned row;
  };
  // Longer spellings first.
  static constexpr Spelling kSymbols[] = {{">>>", Operator::kShiftRightArithmetic, 3},
                                          {"<<", Operator::kShiftLeft, 3},
                                          {">>", Operator::kShiftRight, 3},
                                          {"==", Operator::kEqual, 4},
                                          {"!=", Operator::kNotEqual, 4},
                                          {"<=", Operator::kLessOrEqual, 4},
                                          {">=", Operator::kGreaterOrEqual, 4},
                                          {"=", Operator::kEqual, 4},
                                          {"<", Operator::kLess, 4},
                                          {">", Operator::kGreater, 4},
                                          {"*", Operator::kMultiply, 1},
                                          {"/", Operator::kDivide, 1},
                                          {"%", Operator::kModulo, 1},
                                          {"+", Operator::kAdd, 2},
                                          {"-", Operator::kSubtract, 2},
                                          {"&", Operator::kAnd, 5},
                                          {"^", Operator::kXor, 6},
                                          {"|", Operator::kOr, 7}};
  static constexpr Spelling kWords[] = {{"mod", Operator::kModulo, 1},
                                        {"and", Operator::kAnd, 5},
                                        {"xor", Operator::kXor, 6},
                                        {"or", Operator::kOr, 7}};
  const std::string_view rest = text_.substr(position_);
  for (const Spelling& spelling : kSymbols) {
    if (!rest.starts_with(spelling.text)) continue;
    token = {spelling.op, spelling.row, spelling.text.size()};
    return true;
  }
  const std::string_view word = ScanWord();
  for (const Spelling& spelling : kWords) {
    if (!EqualsIgnoringCase(word, spelling.text)) continue;
    token = {spelling.op, spelling.row, spelling.text.size()};
    return true;
  }
  return false;
}

std::uint64_t MasmParser::Binary(unsigned row) {
  std::uint64_t left = row == 1 ? Unary() : Binary(row - 1);
  while (!failed_) {
    const std::size_t before = position_;
    SkipBlanks();
    OperatorToken token{};
    if (!FindOperator(token) || token.row != row) {
      position_ = before;
      break;
    }
    position_ += token.length;
    const std::uint64_t right = row == 1 ? Unary() : Binary(row - 1);
    if (!failed_) left = Apply(token.op, left, right);
  }
  return left;
}

std::uint64_t MasmParser::Apply(Operator op, std::uint64_t left, std::uint64_t right) {
  switch (op) {
    case Operator::kMultiply: return left * right;
    case Operator::kDivide:
    case Operator::kModulo:
      if (right == 0) return FailWith({Errc::kUsage, "Divide by zero error"});
      return op == Operator::kDivide ? left / right : left % right;
    case Operator::kAdd: return left + right;
    case Operator::kSubtract: return left - right;
    case Operator::kShiftLeft: return right < 64 ? left << right : 0;
    case Operator::kShiftRight: return right < 64 ? left >> right : 0;
    case Operator::kShiftRightArithmetic:
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(left) >>
                                        std::min<std::uint64_t>(right, 63));
    case Operator::kEqual: return left == right;
    case Operator::kNotEqual: return left != right;
    case Operator::kLess: return left < right;
    case Operator::kGreater: return left > right;
    case Operator::kLessOrEqual: return left <= right;
    case Operator::kGreaterOrEqual: return left >= right;
    case Operator::kAnd: return left & right;
    case Operator::kXor: return left ^ right;
    case Operator::kOr: return left | right;
  }
  return 0;
}

std::uint64_t MasmParser::Unary() {
  if (failed_) return 0;
  if (++depth_ > kMaximumDepth)
    return Fail(Errc::kLimitExceeded, "Expression nested too deeply at", position_);
  SkipBlanks();
  std::uint64_t value = 0;
  if (Peek() == '-' || Peek() == '+') {
    const bool negative = Peek() == '-';
    ++position_;
    value = Unary();
    if (negative) value = 0 - value;
  } else if (!UnaryWord(ScanWord(), value)) {
    value = Primary();
  }
  --depth_;
  return value;
}

bool MasmParser::UnaryWord(std::string_view word, std::uint64_t& value) {
  struct Loader {
    std::string_view name;
    unsigned size;  // 0: pointer
    bool physical;
  };
  static constexpr Loader kLoaders[] = {
      {"by", 1, false},  {"wo", 2, false},  {"dwo", 4, false},  {"qwo", 8, false},  {"poi", 0, false},
      {"$pby", 1, true}, {"$pwo", 2, true}, {"$pdwo", 4, true}, {"$pqwo", 8, true}, {"$ppoi", 0, true}};
  const auto operand = [&] {
    position_ += word.size();
    return Unary();
  };
  if (EqualsIgnoringCase(word, "not")) return value = operand() == 0, true;
  if (EqualsIgnoringCase(word, "hi")) return value = operand() >> 16 & 0xffff, true;
  if (EqualsIgnoringCase(word, "low")) return value = operand() & 0xffff, true;
  for (const Loader& loader : kLoaders) {
    if (!EqualsIgnoringCase(word, loader.name)) continue;
    const std::uint64_t address = operand();
    // A parenthesized operand is reported at its `)`, as users know it.
    const bool closes = position_ > 0 && (text_[position_ - 1] == ')' || text_[position_ - 1] == ']');
    const unsigned pointer_size = PointerSize(scope_.architecture);
    value = Load(address, loader.size ? loader.size : pointer_size, loader.physical,
                 closes ? position_ - 1 : position_);
    if (loader.size == 0 && pointer_size == 4 && scope_.sign_extend_32) value = Extend(value);
    return true;
  }
  return false;
}

std::uint64_t MasmParser::Load(std::uint64_t address, unsigned size, bool physical, std::size_t at) {
  if (failed_) return 0;
  std::byte bytes[8] = {};
  const auto& read = physical ? scope_.read_physical : scope_.read_virtual;
  const Result<std::size_t> got = read(address, std::span(bytes, size));
  if (!got && got.error().code != Errc::kUnreadable) return FailWith(got.error());
  if (!got || *got < size) {
    Fail(Errc::kUnreadable, "Memory access error at", at);
    error_.address = address;
    return 0;
  }
  std::uint64_t value = 0;
  for (unsigned i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::uint64_t MasmParser::Group(char close) {
  ++position_;
  const std::uint64_t value = Binary(kLastRow);
  Expect(close);
  return value;
}

std::uint64_t MasmParser::Primary() {
  const char c = Peek();
  if (c == '(') return Group(')');
  if (c == '[') return Group(']');
  if (c == '@') return At();
  if (c == '.' && !IsWordPart(Peek(1))) {
    const std::size_t start = position_++;
    return Register("$ip", start);
  }
  if (c == '!' && IsWordStart(Peek(1))) {
    const std::size_t start = position_++;
    const std::string_view word = ScanWord();
    position_ += word.size();
    return Symbol(word, start);
  }
  if (c == '`') {
    // A source line: the scope resolves the text between and with the back-quotes.
    const std::size_t end = text_.find('`', position_ + 1);
    if (end == std::string_view::npos) return Fail(Errc::kUsage, "Syntax error at", position_);
    const std::size_t start = position_;
    position_ = end + 1;
    return Symbol(text_.substr(start, end + 1 - start), start);
  }
  if (c == '$') return Dollar();
  if (IsWordStart(c)) return Word();
  if (c == '\0' || c == ';' || c == ')' || c == ']') {
    return Fail(Errc::kUsage, "Numeric expression missing from", position_);
  }
  return Fail(Errc::kUsage, "Syntax error at", position_);
}

// `@register`, `@$pseudo`, `@@(..)`, `@@masm(..)`, `@@c++(..)`, `@!"symbol"`.
std::uint64_t MasmParser::At() {
  const std::size_t start = position_++;
  if (Peek() == '@') {
    ++position_;
    const std::string_view rest = text_.substr(position_);
    if (rest.size() >= 5 && EqualsIgnoringCase(rest.substr(0, 4), "masm") && rest[4] == '(') {
      position_ += 4;
      return Group(')');
    }
    return FailWith({Errc::kUnsupported, "C++ expressions are not supported in this place at '" +
                                             std::string(text_.substr(start)) +
                                             "'; use MASM syntax or @@masm(..)"});
  }
  if (Peek() == '!') {
    ++position_;
    return Symbol(ReadString(), start);
  }
  const std::string_view word = ScanWord();
  if (word.empty()) return Fail(Errc::kUsage, "Syntax error at", start);
  position_ += word.size();
  return Register(word, start);
}

// A bare word that begins with `$`: function, local, pseudo-register, or a symbol that happens to begin so.
std::uint64_t MasmParser::Dollar() {
  const std::size_t start = position_;
  if (Peek(1) == '!') {
    position_ += 2;
    const std::string_view local = ScanWord();
    position_ += local.size();
    return Symbol(text_.substr(start, position_ - start), start);
  }
  const std::string_view word = ScanWord();
  position_ += word.size();
  if (Peek() == '(') return Function(word);
  if (word.find('!') == std::string_view::npos) {
    const Result<std::uint64_t> value = scope_.register_value(word);
    if (value) return *value;
  }
  return Symbol(word, start);
}

// The longest run that can be one number, register or symbol at the current place; `mod!sym` and `a::b`
// included.
std::string_view MasmParser::ScanWord() const {
  std::size_t end = position_;
  if (end >= text_.size() || !IsWordStart(text_[end])) return {};
  bool has_module = false;
  while (end < text_.size()) {
    const char c = text_[end];
    const char next = end + 1 < text_.size() ? text_[end + 1] : '\0';
    if (IsWordPart(c)) {
      ++end;
    } else if (c == '!' && !has_module && next != '=') {
      has_module = true;
      ++end;
    } else if (c == ':' && next == ':') {
      end += 2;
      if (end < text_.size() && text_[end] == '~') ++end;
    } else {
      break;
    }
  }
  return text_.substr(position_, end - position_);
}

std::uint64_t MasmParser::Word() {
  const std::size_t start = position_;
  std::string_view word = ScanWord();
  if (IsCommonRegister(scope_.architecture, word)) {
    position_ += word.size();
    return Register(word, start);
  }
  if (std::isdigit(static_cast<unsigned char>(word[0]))) {
    // "1000L8": a range suffix needs no blank before it.
    const std::size_t suffix = word.find_first_of("lL");
    if (!IsNumberWord(word, scope_.radix) && suffix != std::string_view::npos) word = word.substr(0, suffix);
  }
  if (IsNumberWord(word, scope_.radix)) {
    position_ += word.size();
    return Number(word);
  }
  if (std::isdigit(static_cast<unsigned char>(word[0])) && word.find('!') == std::string_view::npos) {
    return Fail(Errc::kUsage, "Syntax error at", start);
  }
  position_ += word.size();
  if (word.find('!') != std::string_view::npos || !IsRegisterName(scope_.architecture, word))
    return Symbol(word, start);
  const Result<std::uint64_t> symbol = scope_.symbol(word);
  if (symbol) return ExtendNarrow(*symbol);
  return Register(word, start);
}

std::uint64_t MasmParser::Symbol(std::string_view name, std::size_t start) {
  if (failed_) return 0;
  // `mod!` alone is the base of the module.
  if (name.size() > 1 && name.back() == '!') name.remove_suffix(1);
  const Result<std::uint64_t> value = scope_.symbol(name);
  if (value) return ExtendNarrow(*value);
  if (value.error().code != Errc::kNotFound) return FailWith(value.error());
  return Fail(Errc::kNotFound, "Couldn't resolve error at", start);
}

std::uint64_t MasmParser::Register(std::string_view name, std::size_t start) {
  const Result<std::uint64_t> value = scope_.register_value(name);
  if (!value) {
    if (value.error().code != Errc::kNotFound) return FailWith(value.error());
    return Fail(Errc::kNotFound, "Bad register error at", start);
  }
  return name[0] != '$' ? ExtendNarrow(*value) : *value;
}

Result<std::uint64_t> EvaluateMasm(std::string_view& text, const EvaluationScope& scope) {
  MasmParser parser(text, scope);
  Result<std::uint64_t> value = parser.ParseExpression();
  if (value) text.remove_prefix(parser.consumed());
  return value;
}

Result<std::uint64_t> EvaluateMasmAll(std::string_view text, const EvaluationScope& scope) {
  std::string_view rest = text;
  Result<std::uint64_t> value = EvaluateMasm(rest, scope);
  if (!value) return value;
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) rest.remove_prefix(1);
  if (!rest.empty()) return Error{Errc::kUsage, "Extra character error in '" + std::string(rest) + "'"};
  return value;
}

}  // namespace longwire
