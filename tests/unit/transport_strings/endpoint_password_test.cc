#include "transport/endpoint_password.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>

namespace longwire {
namespace {

using testing::HasSubstr;
using testing::Not;

const Environment kEnvironment = [](const std::string& name) -> std::optional<std::string> {
  if (name == "LAB") return "p/ss wörd, long enough";
  if (name == "EMPTY") return "";
  return std::nullopt;
};

std::string ErrorOf(std::string_view value) {
  auto resolved = ResolvePassword(value, kEnvironment);
  return resolved ? "no error" : resolved.error().message;
}

TEST(Password, LiteralsAreAlphanumericAndWarnAboveTwelve) {
  EXPECT_EQ(ResolvePassword("Secret1", kEnvironment)->secret.Reveal(), "Secret1");
  EXPECT_EQ(ResolvePassword("123456789012", kEnvironment)->warning, "");
  EXPECT_THAT(ResolvePassword("1234567890123", kEnvironment)->warning, HasSubstr("longer than 12"));
  EXPECT_THAT(ErrorOf("a b"), HasSubstr("blank or a quotation mark"));
  EXPECT_THAT(ErrorOf("geheim!"), HasSubstr("write password=file:PATH or password=env:VAR"));
  EXPECT_THAT(ErrorOf("geheim!"), Not(HasSubstr("geheim")));
  EXPECT_THAT(ErrorOf(""), HasSubstr("needs a value"));
}

TEST(Password, StarMeansAsk) { EXPECT_TRUE(ResolvePassword("*", kEnvironment)->secret.empty()); }

TEST(Password, ComesFromTheEnvironment) {
  EXPECT_EQ(ResolvePassword("env:LAB", kEnvironment)->secret.Reveal(), "p/ss wörd, long enough");
  EXPECT_THAT(ErrorOf("env:NONE"), HasSubstr("password=env:NONE"));
  EXPECT_THAT(ErrorOf("env:EMPTY"), HasSubstr("not set or empty"));
}

TEST(Password, ComesFromTheFirstLineOfAFile) {
  const std::string path = testing::TempDir() + "longwire_password_test";
  std::ofstream(path) << "long pass phrase\nsecond\n";
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  auto resolved = ResolvePassword("file:" + path, kEnvironment);
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->secret.Reveal(), "long pass phrase");
  EXPECT_THAT(resolved->warning, HasSubstr("chmod 600"));
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(ResolvePassword("file:" + path, kEnvironment)->warning, "");
  std::ofstream(path) << std::string(2000, 'x');
  EXPECT_THAT(ErrorOf("file:" + path), HasSubstr("longer than 1024"));
  std::ofstream(path) << "\n";
  EXPECT_THAT(ErrorOf("file:" + path), HasSubstr("first line is empty"));
  std::remove(path.c_str());
  EXPECT_THAT(ErrorOf("file:" + path), HasSubstr("No such file"));
  EXPECT_THAT(ErrorOf("file:/dev/zero"), HasSubstr("not a regular file"));
}

TEST(Secret, MovedFromSecretsAreEmpty) {
  Secret a("abc");
  Secret b(std::move(a));
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that it is wiped is the contract
  EXPECT_EQ(b.Reveal(), "abc");
  Secret c("zzz");
  c = std::move(b);
  EXPECT_EQ(c.Reveal(), "abc");
  EXPECT_TRUE(b.empty());  // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace longwire
