#include "server/kd/journal_entry.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

JournalEntry Sample() {
  JournalEntry entry;
  entry.link = "COM:Pipe,Port=@{/run/a b.sock}";
  entry.driver = "alice@lab";
  entry.client = 9;
  entry.token.assign(32, std::byte{0xA5});
  entry.keep_ms = 60'000;
  entry.driver_epoch = 3;
  entry.baud = 57'600;
  entry.target.halted = true;
  entry.target.stop_on_module = true;
  entry.target.break_on_reboot = true;
  entry.target.stop_counter = 17;
  entry.target.last_breakpoint_id = 4;
  entry.target.debug_registers = true;
  entry.target.breakpoints = {
      {1, rpc::BreakpointKind::kCode, 0xFFFFF80000001100, 1, 7, {std::byte{0x1F}}},
      {4, rpc::BreakpointKind::kReadWrite, 0xFFFFF80000001200, 8, 0, {}},
  };
  return entry;
}

TEST(JournalEntry, ComesBackAsWritten) {
  const JournalEntry entry = Sample();
  const auto back = ParseJournalEntry(FormatJournalEntry(entry));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->link, entry.link);
  EXPECT_EQ(back->driver, entry.driver);
  EXPECT_EQ(back->client, 9u);
  EXPECT_EQ(back->token, entry.token);
  EXPECT_EQ(back->keep_ms, 60'000u);
  EXPECT_EQ(back->driver_epoch, 3u);
  EXPECT_EQ(back->baud, 57'600u);
  EXPECT_TRUE(back->target.halted);
  EXPECT_TRUE(back->target.stop_on_module);
  EXPECT_TRUE(back->target.break_on_reboot);
  EXPECT_FALSE(back->needs_key);
  EXPECT_EQ(back->target.stop_counter, 17u);
  EXPECT_EQ(back->target.last_breakpoint_id, 4u);
  EXPECT_TRUE(back->target.debug_registers);
  EXPECT_EQ(back->target.breakpoints, entry.target.breakpoints);
}

TEST(JournalEntry, EveryPieceThatIsCutOffIsRefused) {
  const std::string text = FormatJournalEntry(Sample());
  for (std::size_t size = 0; size + 1 < text.size(); ++size)
    EXPECT_FALSE(ParseJournalEntry(text.substr(0, size))) << size;
}

TEST(JournalEntry, BadValuesAreRefusedAndUnknownLinesPassedOver) {
  const auto with = [](const std::string& line) {
    return ParseJournalEntry("longwire-journal 1\nlink COM:Port=/dev/ttyS0\n" + line + "\nend\n");
  };
  EXPECT_TRUE(with("of-a-newer-version 1 2 3"));
  for (const char* line : {"halted 2", "client -1", "client 99999999999999999999", "token 0", "token zz",
                           "breakpoint", "breakpoint 1 1 10 3 0 -", "breakpoint 1 9 10 1 0 -",
                           "breakpoint 1 0 10 1 0 -", "breakpoint 1 1 xyz 1 0 -", "end"}) {
    EXPECT_FALSE(with(line)) << line;
  }
  EXPECT_FALSE(ParseJournalEntry("longwire-journal 1\nend\n"));
  EXPECT_FALSE(ParseJournalEntry("longwire-journal 2\nlink a\nend\n"));
  EXPECT_FALSE(ParseJournalEntry(std::string(JournalEntry::kMaxBytes + 1, 'x')));
}

TEST(JournalEntry, TooManyBreakpointsAreBounded) {
  JournalEntry entry = Sample();
  entry.target.breakpoints.resize(JournalEntry::kMaxBreakpoints + 1000, entry.target.breakpoints[0]);
  const std::string text = FormatJournalEntry(entry);
  EXPECT_LE(text.size(), JournalEntry::kMaxBytes);
  const auto back = ParseJournalEntry(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->target.breakpoints.size(), JournalEntry::kMaxBreakpoints);
}

}  // namespace
}  // namespace longwire
