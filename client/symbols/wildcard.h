#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longwire {

/// A pattern of engine.md 2.9: `*` any run, `?` one character, `[a-c]` one of, `#` zero or more and `+` one
/// or more of the preceding, `\` escapes. Whole-string, case-insensitive. Matching takes time proportional to
/// pattern times text, whatever the pattern is.
class Wildcard {
 public:
  /// What a `_` at the front matches: any number of underscores (names of symbols, engine.md 2.6), or itself.
  enum class Underscore : unsigned char { kAnyNumber, kLiteral };

  explicit Wildcard(std::string_view pattern, Underscore leading = Underscore::kAnyNumber);
  bool Matches(std::string_view text) const;
  /// True if the text holds a character that makes it a pattern.
  static bool IsPattern(std::string_view text);

 private:
  struct Atom {
    enum class Repeat : unsigned char { kOnce, kAny, kSome } repeat = Repeat::kOnce;
    bool any_character = false;
    std::string set;  ///< lower-case characters that match; unused if any_character
  };
  static bool Accepts(const Atom& atom, char character);
  void Parse(std::string_view pattern);

  std::vector<Atom> atoms_;
};

}  // namespace longwire
