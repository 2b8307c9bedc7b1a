#include "client/symbols/wildcard.h"

#include <gtest/gtest.h>

#include <string>

namespace longwire {
namespace {

bool Match(std::string_view pattern, std::string_view text) { return Wildcard(pattern).Matches(text); }

TEST(Wildcard, PlainTextMatchesWholeAndIgnoresCase) {
  EXPECT_TRUE(Match("KeBugCheck", "kebugcheck"));
  EXPECT_FALSE(Match("KeBugCheck", "KeBugCheckEx"));
  EXPECT_FALSE(Match("BugCheck", "KeBugCheck"));
  EXPECT_TRUE(Match("", ""));
  EXPECT_FALSE(Match("", "a"));
}

TEST(Wildcard, StarAndQuestionMark) {
  EXPECT_TRUE(Match("*", ""));
  EXPECT_TRUE(Match("Ke*Ex", "KeBugCheckEx"));
  EXPECT_TRUE(Match("*Bug*", "KeBugCheckEx"));
  EXPECT_TRUE(Match("K?Bug*", "KeBugCheckEx"));
  EXPECT_FALSE(Match("K?", "K"));
}

TEST(Wildcard, SetsHoldCharactersAndRanges) {
  EXPECT_TRUE(Match("[a-c]1", "B1"));
  EXPECT_FALSE(Match("[a-c]1", "d1"));
  EXPECT_TRUE(Match("[xz]", "z"));
  EXPECT_TRUE(Match("[a-cx]1", "X1"));
  EXPECT_TRUE(Match("a[0-9]b", "a5b"));
  EXPECT_TRUE(Match("[ab", "[ab")) << "without its end it is no set";
}

TEST(Wildcard, HashAndPlusRepeatThePreceding) {
  EXPECT_TRUE(Match("ab#c", "ac"));
  EXPECT_TRUE(Match("ab#c", "abbbc"));
  EXPECT_FALSE(Match("ab+c", "ac"));
  EXPECT_TRUE(Match("ab+c", "abbc"));
  EXPECT_TRUE(Match("[0-9]+", "123"));
  EXPECT_FALSE(Match("[0-9]+", ""));
}

TEST(Wildcard, BackslashEscapes) {
  EXPECT_TRUE(Match("a\\*b", "a*b"));
  EXPECT_FALSE(Match("a\\*b", "axb"));
  EXPECT_TRUE(Match("a\\", "a\\"));
}

TEST(Wildcard, LeadingUnderscoreMatchesAnyNumber) {
  EXPECT_TRUE(Match("_main", "main"));
  EXPECT_TRUE(Match("_main", "_main"));
  EXPECT_TRUE(Match("_main", "___main"));
  EXPECT_FALSE(Match("_main", "xmain"));
  EXPECT_TRUE(Match("_LIST*", "_LIST_ENTRY"));
  const Wildcard literal("_main", Wildcard::Underscore::kLiteral);
  EXPECT_TRUE(literal.Matches("_main"));
  EXPECT_FALSE(literal.Matches("main"));
}

TEST(Wildcard, HostilePatternDoesNotBacktrack) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_FALSE(Match(pattern + "b", std::string(2000, 'a')));
}

TEST(Wildcard, KnowsWhatIsAPattern) {
  EXPECT_TRUE(Wildcard::IsPattern("Ke*"));
  EXPECT_FALSE(Wildcard::IsPattern("KeBugCheck"));
}

}  // namespace
}  // namespace longwire
