#include "transport/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace longwire {
namespace {

using testing::HasSubstr;
using Argument = OptionRule::Argument;

constexpr auto kRules = std::to_array<OptionRule>({
    {"server", Argument::kNext, true},
    {"noio"},
    {"n"},
    {"r"},
    {"v"},
    {"g"},
    {"G"},
    {"k", Argument::kOptional},
    {"kl"},
    {"c", Argument::kNext},
    {"tmp"},
    {"a", Argument::kJoined},
    {"wait", Argument::kNext, false, true},
    {"open", Argument::kNone, false, true},
});

/// "server=tcp:|v|~stray": options with arguments, stray words marked.
std::string Parse(std::vector<std::string> words) {
  auto items = ParseCommandLine(words, kRules);
  if (!items) return "error: " + items.error().message;
  std::string text;
  for (const auto& item : *items) {
    if (!text.empty()) text += '|';
    text += item.rule == nullptr ? "~" + item.text : std::string(item.rule->name);
    if (item.argument) text += "=" + *item.argument;
  }
  return text;
}

TEST(CommandLine, DashAndSlash) {
  EXPECT_EQ(Parse({"-v", "/n", "/K", "x"}), "v|n|k=x");
  EXPECT_EQ(Parse({"/usr/bin/prog"}), "~/usr/bin/prog");
  EXPECT_EQ(Parse({"/rnv"}), "~/rnv");
}

TEST(CommandLine, AnExistingPathIsNoOption) { EXPECT_EQ(Parse({"/tmp"}), "~/tmp"); }

TEST(CommandLine, LettersMayBeRunTogetherLongestNameFirst) {
  EXPECT_EQ(Parse({"-rnv"}), "r|n|v");
  EXPECT_EQ(Parse({"-noio"}), "noio");
  EXPECT_EQ(Parse({"-kl"}), "kl");
  EXPECT_EQ(Parse({"-rc"}), "error: unknown option -rc; -? shows the options");
}

TEST(CommandLine, ExactCaseWinsAndSomeOptionsDemandIt) {
  EXPECT_EQ(Parse({"-g", "-G"}), "g|G");
  EXPECT_EQ(Parse({"-V", "-NOIO"}), "v|noio");
  EXPECT_EQ(Parse({"-SERVER", "x"}),
            "error: unknown option -SERVER; case matters here, write -server; -? shows the options");
}

TEST(CommandLine, OwnOptionsTakeOneDashOrTwo) {
  EXPECT_EQ(Parse({"--wait", "5", "-wait", "6", "--wait=7", "--open", "-open"}),
            "wait=5|wait=6|wait=7|open|open");
  EXPECT_THAT(Parse({"--open=1"}), HasSubstr("takes no argument"));
  EXPECT_THAT(Parse({"--noio"}), HasSubstr("unknown option --noio"));
}

TEST(CommandLine, Arguments) {
  EXPECT_EQ(Parse({"-c", "-v"}), "c=-v");
  EXPECT_EQ(Parse({"-c"}), "error: option -c needs an argument");
  EXPECT_EQ(Parse({"-k", "-v", "com:"}), "k|v|~com:");
  EXPECT_EQ(Parse({"-k"}), "k");
  EXPECT_EQ(Parse({"-akdexts"}), "a=kdexts");
  EXPECT_THAT(Parse({"-a"}), HasSubstr("unknown option -a"));
}

TEST(CommandLine, ErrorsDoNotRepeatValues) {
  EXPECT_EQ(Parse({"--password=abc"}), "error: unknown option --password; -? shows the options");
}

TEST(ScrubArguments, OverwritesPasswordsAndKeysOnly) {
  std::vector<std::string> words{
      "kd", "-k", "kdsrv:server=@{tcp:server=h,Password=secret,port=1},trans=@{net:port=50000,key=1.2.3.4}",
      "tcp:port=1,password=@{a b}", "monkey=banana"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  ScrubArguments(static_cast<int>(argv.size()), argv.data());
  EXPECT_EQ(words[2],
            "kdsrv:server=@{tcp:server=h,Password=******,port=1},trans=@{net:port=50000,key=*******}");
  EXPECT_EQ(words[3], "tcp:port=1,password=*****}");
  EXPECT_EQ(words[4], "monkey=banana");
  const std::vector<std::string> once = words;
  ScrubArguments(static_cast<int>(argv.size()), argv.data());
  EXPECT_EQ(words, once);
}

}  // namespace
}  // namespace longwire
