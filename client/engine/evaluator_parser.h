#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "client/engine/evaluator.h"

namespace longwire {

/// Recursive descent over one MASM expression (engine.md 2.4). One object parses one text once. The first
/// error stops it.
class MasmParser {
 public:
  MasmParser(std::string_view text, const EvaluationScope& scope) : text_(text), scope_(scope) {}

  /// Parses from the front of the text; consumed() tells how far.
  Result<std::uint64_t> ParseExpression();
  std::size_t consumed() const { return position_; }

 private:
  enum class Operator : std::uint8_t;
  struct OperatorToken {
    Operator op;
    unsigned row;  // precedence row of engine.md 2.4, 1 binds tightest
    std::size_t length;
  };

  std::uint64_t Binary(unsigned row);
  std::uint64_t Unary();
  bool UnaryWord(std::string_view word, std::uint64_t& value);
  std::uint64_t Primary();
  std::uint64_t Group(char close);
  std::uint64_t At();
  std::uint64_t Dollar();
  std::uint64_t Function(std::string_view name);
  std::uint64_t CompareStrings(bool ignore_case);
  std::uint64_t MatchPattern();
  std::uint64_t ImageEntry();
  std::uint64_t AllReadable();
  std::uint64_t Word();
  std::uint64_t Number(std::string_view word);
  std::uint64_t Symbol(std::string_view name, std::size_t start);
  std::uint64_t Register(std::string_view name, std::size_t start);
  std::uint64_t Load(std::uint64_t address, unsigned size, bool physical, std::size_t at);
  std::uint64_t Apply(Operator op, std::uint64_t left, std::uint64_t right);

  bool FindOperator(OperatorToken& token) const;
  std::string ReadString();
  std::string_view ScanWord() const;
  void SkipBlanks();
  bool Accept(char c);
  void Expect(char c);
  char Peek(std::size_t ahead = 0) const;
  std::uint64_t Fail(Errc code, std::string_view what, std::size_t at);
  std::uint64_t FailWith(Error error);
  std::uint64_t ExtendNarrow(std::uint64_t value) const;  ///< on 32-bit targets only
  std::uint64_t Extend(std::uint64_t value) const;

  std::string_view text_;
  const EvaluationScope& scope_;
  std::size_t position_ = 0;
  unsigned depth_ = 0;
  bool failed_ = false;
  Error error_;
};

/// True if `word` is a number as it stands: a prefix, an `h` suffix, or digits of the radix only.
bool IsNumberWord(std::string_view word, unsigned radix);

}  // namespace longwire
