#include "transport/endpoint_pipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longwire {
namespace {

TEST(PipeName, CodesAreReplacedByProcessThenThread) {
  EXPECT_EQ(*ExpandPipeName("svc_%d_%x", 400, 255), "svc_400_ff");
  EXPECT_EQ(*ExpandPipeName("a%X%u", 255, 7), "aFF7");
  EXPECT_EQ(*ExpandPipeName("a%%d", 1, 2), "a%d");
  EXPECT_FALSE(ExpandPipeName("%d%d%d", 1, 2));
  EXPECT_FALSE(ExpandPipeName("a%", 1, 2));
  EXPECT_FALSE(ExpandPipeName("a%5d", 1, 2));
}

TEST(PipeName, OnlyPlainFileNamesPass) {
  EXPECT_TRUE(CheckPipeName("web_1.2-x"));
  for (const char* bad : {"", ".", "..", "a/b", "a b", "a\"b", "a\\b", "\xc3\xa4"})
    EXPECT_FALSE(CheckPipeName(bad)) << bad;
  EXPECT_TRUE(CheckPipeName(std::string(64, 'a')));
  EXPECT_FALSE(CheckPipeName(std::string(65, 'a')));
  EXPECT_FALSE(CheckPipePattern(std::string(60, 'a') + "%d"));
}

TEST(PipePath, IgnoresCaseAndLivesInTheUsersDirectory) {
  const Environment runtime = [](const std::string& name) -> std::optional<std::string> {
    if (name == "XDG_RUNTIME_DIR") return "/run/user/7";
    return std::nullopt;
  };
  EXPECT_EQ(PipePath("Web", runtime), "/run/user/7/longwire/web");
  const Environment none = [](const std::string&) { return std::nullopt; };
  EXPECT_THAT(PipePath("Web", none), testing::MatchesRegex("/tmp/longwire-[0-9]+/web"));
}

TEST(PipeHost, KnowsItsOwnNames) {
  EXPECT_TRUE(IsThisMachine("."));
  EXPECT_TRUE(IsThisMachine("LOCALHOST"));
  EXPECT_TRUE(IsThisMachine("\\\\localhost"));
  EXPECT_FALSE(IsThisMachine("elsewhere.example"));
}

}  // namespace
}  // namespace longwire
