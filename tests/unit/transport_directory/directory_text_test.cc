#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "transport/directory.h"

namespace longwire {
namespace {

using testing::HasSubstr;
using testing::Not;

ServerEntry Example() {
  return ServerEntry{
      ServerType::kKernel, "tcp:Port=53:60,Password=*", 42, 987654321012, "ann", "lab", "rack 2", false};
}

TEST(ServerEntryText, ReadsBackWhatItWrote) {
  ServerEntry entry = Example();
  entry.stale = true;
  const std::string text = FormatServerEntry(entry);
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  const auto read = ParseServerEntry(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->type, ServerType::kKernel);
  EXPECT_EQ(read->endpoint, "tcp:Port=53:60,Password=*");
  EXPECT_EQ(read->pid, 42);
  EXPECT_EQ(read->start_time, 987654321012u);
  EXPECT_EQ(read->owner, "ann");
  EXPECT_EQ(read->pool, "lab");
  EXPECT_EQ(read->note, "rack 2");
  EXPECT_TRUE(read->stale);
}

TEST(ServerEntryText, EveryTypeHasItsName) {
  for (const auto& [type, name] : {std::pair{ServerType::kDebugger, "Debugger Server"},
                                   std::pair{ServerType::kProcess, "Remote Process Server"},
                                   std::pair{ServerType::kKernel, "Remote Kernel Debugger Server"}}) {
    ServerEntry entry = Example();
    entry.type = type;
    EXPECT_EQ(ServerTypeName(type), name);
    ASSERT_TRUE(ParseServerEntry(FormatServerEntry(entry)));
    EXPECT_EQ(ParseServerEntry(FormatServerEntry(entry))->type, type);
  }
}

TEST(ServerEntryText, RefusesEveryTruncation) {
  const std::string whole = FormatServerEntry(Example());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(ParseServerEntry(std::string_view(whole).substr(0, size))) << size;
  }
}

TEST(ServerEntryText, RefusesGarbage) {
  const std::string nested(100'000, '[');
  for (const std::string& text : {std::string(), std::string("{}"), std::string("[]"), std::string("null"),
                                  std::string("\xff\xfe\0", 3), nested}) {
    EXPECT_FALSE(ParseServerEntry(text));
  }
}

std::string Replaced(std::string_view what, std::string_view with) {
  std::string text = FormatServerEntry(Example());
  const std::size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

TEST(ServerEntryText, RefusesMembersOfAWrongKindOrSize) {
  ASSERT_TRUE(ParseServerEntry(Replaced("42", "43")));
  for (const char* pid : {"0", "-1", "\"42\"", "4.2", "99999999999", "null"}) {
    EXPECT_FALSE(ParseServerEntry(Replaced("42", pid))) << pid;
  }
  EXPECT_FALSE(ParseServerEntry(Replaced("Remote Kernel Debugger Server", "Some Server")));
  EXPECT_FALSE(ParseServerEntry(Replaced("\"ann\"", "7")));
  EXPECT_FALSE(ParseServerEntry(Replaced("ann", std::string(300, 'a'))));
  EXPECT_FALSE(ParseServerEntry(Replaced("tcp:Port=53:60", "tcp:Port=" + std::string(9000, '5'))));
}

TEST(ServerEntryText, RefusesAnEndpointThatShowsAPassword) {
  EXPECT_FALSE(ParseServerEntry(Replaced("Password=*", "Password=secret")));
  EXPECT_FALSE(ParseServerEntry(Replaced("Password=*", "PASSWORD=@{secret}")));
  EXPECT_FALSE(ParseServerEntry(Replaced("Password=*", "Password")));
  EXPECT_FALSE(ParseServerEntry(Replaced("tcp:", "http:")));
  EXPECT_TRUE(ParseServerEntry(Replaced(",Password=*", "")));
}

TEST(ServerEntryText, ControlCharactersDoNotReachATerminal) {
  const auto read = ParseServerEntry(Replaced("rack 2", "a\\u001b[2Jb\\u009bc\\nd\u00e9"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->note, "a?[2Jb?c?d\u00e9");
  EXPECT_EQ(PrintableText("plain"), "plain");
  EXPECT_EQ(PrintableText(std::string("\x7f\0\xc2", 3)), "??\xc2");
}

}  // namespace
}  // namespace longwire
