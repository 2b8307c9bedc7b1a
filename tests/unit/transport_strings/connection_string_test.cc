#include "transport/connection_string.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longwire {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  Result<ConnectionString> parsed = ParseConnectionString(text);
  return parsed ? "no error" : parsed.error().message;
}

TEST(ConnectionString, NameEndsAtTheFirstColon) {
  auto parsed = ParseConnectionString("tcp:server=fe80::1%eth0,port=51:60");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->name, "tcp");
  EXPECT_EQ(*parsed->Find("server")->value, "fe80::1%eth0");
  EXPECT_EQ(*parsed->Find("port")->value, "51:60");
}

TEST(ConnectionString, NamesAndKeysIgnoreCaseValuesDoNot) {
  auto parsed = ParseConnectionString("NPipe:Pipe=Web,PASSWORD=SeCret");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->name, "npipe");
  EXPECT_EQ(*parsed->Find("pipe")->value, "Web");
  EXPECT_EQ(*parsed->Find("password")->value, "SeCret");
}

TEST(ConnectionString, BareKeysAreFlagsAndAnEmptyListIsAllowed) {
  auto parsed = ParseConnectionString("com:pipe,reconnect");
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->Find("pipe")->value);
  EXPECT_EQ(parsed->Find("reconnect")->position, 10u);
  auto empty = ParseConnectionString("com:");
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->parameters.empty());
}

TEST(ConnectionString, BlanksAreTrimmedAroundNamesKeysAndValueEndsOnly) {
  auto parsed = ParseConnectionString(" ssl : machuser = 0f 9c 11 , port = 1 ");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->name, "ssl");
  EXPECT_EQ(*parsed->Find("machuser")->value, "0f 9c 11");
  EXPECT_EQ(*parsed->Find("port")->value, "1");
}

TEST(ConnectionString, NestedBodiesEndAtTheBalancingBracketOfTheSamePair) {
  for (const char* text : {"k:a=@{x{,}y},b=1", "k:a=@<x{,}y>,b=1", "k:a=@(x{,}y),b=1", "k:a=@[x{,}y],b=1"}) {
    auto parsed = ParseConnectionString(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed->Find("a")->value, "x{,}y");
    EXPECT_TRUE(parsed->Find("a")->nested);
    EXPECT_EQ(*parsed->Find("b")->value, "1");
  }
  auto other_pair_open = ParseConnectionString("k:a=@{x>(y}");
  ASSERT_TRUE(other_pair_open);
  EXPECT_EQ(*other_pair_open->Find("a")->value, "x>(y");
}

TEST(ConnectionString, NestedBodiesAreNotTrimmed) {
  auto parsed = ParseConnectionString("k:a=@{ x } , b");
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(*parsed->Find("a")->value, " x ");
  EXPECT_NE(parsed->Find("b"), nullptr);
}

TEST(ConnectionString, BracesWithoutAtSignAreOrdinary) {
  auto parsed = ParseConnectionString("exdi:CLSID={29f9906e-9dbe-4d4b-b0fb-6acf7fb6d014},Kd=Guess");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed->Find("clsid")->value, "{29f9906e-9dbe-4d4b-b0fb-6acf7fb6d014}");
}

TEST(ConnectionString, ErrorsNameKeyAndPosition) {
  EXPECT_THAT(ErrorOf("tcp"), HasSubstr("no ':' after the protocol name"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("no ':'"));
  EXPECT_THAT(ErrorOf(":port=1"), HasSubstr("not a protocol name"));
  EXPECT_THAT(ErrorOf("t p:port=1"), HasSubstr("not a protocol name"));
  EXPECT_EQ(ErrorOf("tcp:port=1,PORT=2"), "key 'port' at position 12 is given twice");
  EXPECT_EQ(ErrorOf("tcp:port=1,,server=h"), "a parameter name is missing at position 12");
  EXPECT_EQ(ErrorOf("tcp:port=1,"), "a parameter name is missing at position 12");
  EXPECT_THAT(ErrorOf("tcp:po-rt=1"), HasSubstr("key 'po' at position 5 is followed by a character"));
  EXPECT_THAT(ErrorOf("k:a=@x"),
              HasSubstr("the value of 'a' at position 5 starts with '@' but no bracket follows"));
  EXPECT_THAT(ErrorOf("k:a=@"), HasSubstr("no bracket follows"));
  EXPECT_EQ(ErrorOf("k:a=@{x{}"), "the value of 'a' at position 5 is not closed: a '}' is missing");
  EXPECT_THAT(ErrorOf("k:a=@{x}y"), HasSubstr("a ',' is missing"));
  EXPECT_THAT(ErrorOf(std::string_view("k:a=\0", 5)), HasSubstr("control character"));
  EXPECT_THAT(ErrorOf("k:a=" + std::string(9000, 'x')), HasSubstr("longer than 8192"));
}

TEST(ConnectionString, QuotedValuesReadBackTheSame) {
  for (const std::string value : {"plain", "a,b", "@x", " blank ", "a{,", "a},", "[,}", "x y", "{,}", ""}) {
    const std::string text = "k:a=" + QuoteValue(value) + ",b";
    auto parsed = ParseConnectionString(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed->Find("a")->value, value) << text;
  }
  EXPECT_EQ(QuoteValue("a,b"), "@{a,b}");
}

TEST(ConnectionString, ShellQuoteSurvivesQuotes) { EXPECT_EQ(ShellQuote("a'b"), "'a'\\''b'"); }

TEST(ConnectionString, DecimalsAreDigitsOnly) {
  EXPECT_EQ(ParseDecimal("65535", 65535), 65535u);
  EXPECT_FALSE(ParseDecimal("65536", 65535));
  EXPECT_FALSE(ParseDecimal("", 10));
  EXPECT_FALSE(ParseDecimal("+1", 10));
  EXPECT_FALSE(ParseDecimal("0x1", 10));
  EXPECT_FALSE(ParseDecimal("18446744073709551617", ~0ull));
}

}  // namespace
}  // namespace longwire
