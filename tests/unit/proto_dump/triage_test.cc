#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::dump::test {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kStack = 0xFFFF800000002000, kBlock = 0xFFFFF80000001000;

/// One data block, a stack, one driver and one unloaded driver; no debugger data.
DumpBuilder SmallTriage() {
  DumpBuilder builder(4);
  for (std::size_t at = 0x2000; at < 0x2080; at += 4) builder.Put32(at, 0);
  builder.Put32(0x2008, 0x3000).Text(0x3000, "TRGD");
  builder.Put32(0x2028, 0x2400).Put32(0x202C, 0x100).Put64(0x2048, kStack).Fill(0x2400, 0x100, 0x55);
  builder.Put32(0x2078, 0x2200).Put32(0x207C, 1);
  builder.Put64(0x2200, kBlock).Put32(0x2208, 0x2600).Put32(0x220C, 0x40).Fill(0x2600, 0x40, 0xCC);
  builder.Put32(0x2030, 0x2700).Put32(0x2034, 1).Fill(0x2700, 0x90, 0).Put32(0x2700, 0x2800);
  builder.Put64(0x2708 + 0x30, 0xFFFFF80012340000)
      .Put32(0x2708 + 0x40, 0x5000)
      .Put32(0x2708 + 0x80, 0x5E000000);
  builder.Put32(0x2800, 5).Text(0x2804, std::string_view("n\0t\0.\0s\0y\0\0\0", 12));
  builder.Put32(0x2018, 0x2900).Put32(0x2900, 1).Fill(0x2908, 0x38, 0);
  builder.Put32(0x2908, 4).Text(0x2918, std::string_view("o\0k\0", 4));
  builder.Put64(0x2908 + 0x28, 0xFFFFF80055550000).Put64(0x2908 + 0x30, 0xFFFFF80055558000);
  return builder;
}

TEST(Triage, ReadsItsWindowsAndNothingBetween) {
  const auto dump = SmallTriage().Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(VirtualByte(*dump, kBlock), 0xCC);
  EXPECT_EQ(VirtualByte(*dump, kBlock + 0x3F), 0xCC);
  EXPECT_EQ(VirtualByte(*dump, kBlock + 0x40), -1);
  EXPECT_EQ(VirtualByte(*dump, kStack + 0x80), 0x55);
  EXPECT_EQ(VirtualByte(*dump, kStack - 1), -1);
  EXPECT_EQ(PhysicalByte(*dump, 0), -1);
}

TEST(Triage, ListsItsDrivers) {
  const auto dump = SmallTriage().Open();
  ASSERT_TRUE(dump);
  ASSERT_EQ(dump->triage()->modules().size(), 1u);
  EXPECT_EQ(dump->triage()->modules()[0].name, "nt.sy");
  EXPECT_EQ(dump->triage()->modules()[0].base, 0xFFFFF80012340000u);
  EXPECT_EQ(dump->triage()->modules()[0].timestamp, 0x5E000000u);
  ASSERT_EQ(dump->triage()->unloaded().size(), 1u);
  EXPECT_EQ(dump->triage()->unloaded()[0].name, "ok");
  EXPECT_EQ(dump->triage()->unloaded()[0].size, 0x8000u);
}

TEST(Triage, ADamagedPartIsLeftOutAndNamed) {
  const auto drivers = SmallTriage().Put32(0x2034, 0x7FFFFFFF).Open();
  ASSERT_TRUE(drivers);
  EXPECT_TRUE(drivers->triage()->modules().empty());
  EXPECT_THAT(drivers->warnings(), testing::Contains(HasSubstr("list of drivers is damaged")));
  const auto blocks = SmallTriage().Put32(0x2078, 0xFFFFFFF0).Open();
  ASSERT_TRUE(blocks);
  EXPECT_THAT(blocks->warnings(), testing::Contains(HasSubstr("data blocks is damaged")));
  EXPECT_EQ(VirtualByte(*blocks, kStack), 0x55);
  const auto cut = SmallTriage().Put32(0x2008, 0x3001).Open();
  ASSERT_TRUE(cut);
  EXPECT_THAT(cut->warnings(), testing::Contains(HasSubstr("end mark is missing")));
}

TEST(Triage, WhereWindowsOverlapTheFirstWins) {
  DumpBuilder builder = SmallTriage();
  builder.Put32(0x207C, 2);
  builder.Put64(0x2210, kBlock - 0x10).Put32(0x2218, 0x2680).Put32(0x221C, 0x30).Fill(0x2680, 0x30, 0xDD);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump);
  EXPECT_EQ(VirtualByte(*dump, kBlock - 1), 0xDD);
  EXPECT_EQ(VirtualByte(*dump, kBlock), 0xCC);
}

}  // namespace
}  // namespace longwire::dump::test
