#include "proto/recording/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/replay/recording_port.h"

namespace longwire::recording {
namespace {

using testing::HasSubstr;

TEST(Recording, ALineIsReadBackAsItWasWritten) {
  Entry entry;
  entry.seconds = 1.25;
  entry.kind = Entry::Kind::kFromHost;
  entry.bytes = {std::byte{0x62}, std::byte{0xff}, std::byte{0}};
  EXPECT_EQ(FormatEntry(entry), "{\"dir\":\"h2t\",\"hex\":\"62ff00\",\"t\":1.25}\n");
  const auto read = ParseEntry(FormatEntry(entry));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, entry.kind);
  EXPECT_EQ(read->bytes, entry.bytes);
  EXPECT_EQ(read->seconds, 1.25);
}

TEST(Recording, ANoteKeepsItsText) {
  Entry entry;
  entry.note = "a \"word\"\n";
  const auto read = ParseEntry(FormatEntry(entry));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, Entry::Kind::kNote);
  EXPECT_EQ(read->note, entry.note);
}

TEST(Recording, UnknownMembersAreIgnored) {
  EXPECT_TRUE(ParseEntry(R"({"t":0,"dir":"t2h","hex":"30","of":"later"})"));
}

TEST(Recording, DamagedLinesAreRefused) {
  for (const char* line :
       {"", "x", "[]", "{}", R"({"dir":"t2h"})", R"({"dir":"up","hex":"30"})", R"({"dir":"t2h","hex":"3"})",
        R"({"dir":"t2h","hex":"3g"})", R"({"dir":"t2h","hex":1})"}) {
    const auto read = ParseEntry(line);
    ASSERT_FALSE(read) << line;
    EXPECT_EQ(read.error().code, Errc::kMalformed) << line;
  }
}

TEST(Recording, AFileNameHasNoSeparatorsOfThePath) {
  EXPECT_EQ(longwire::RecordingFileName("COM:Pipe,Port=/run/../vm"), "COM_Pipe_Port__run____vm.jsonl");
}

}  // namespace
}  // namespace longwire::recording
