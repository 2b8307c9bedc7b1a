#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::dump::test {
namespace {

using testing::HasSubstr;

DumpBuilder FullDump() {
  DumpBuilder builder(1);
  builder.Put32(0x88, 2).Put64(0x90, 3);
  builder.Put64(0x98, 1).Put64(0xA0, 2);   // pages 1 and 2
  builder.Put64(0xA8, 16).Put64(0xB0, 1);  // page 16
  builder.Fill(0x2000, 0x1000, 1).Fill(0x3000, 0x1000, 2).Fill(0x4000, 0x1000, 16);
  return builder;
}

TEST(PageMap, PagesOfAFullDumpLieInTheOrderOfItsRuns) {
  const auto dump = FullDump().Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(dump->kind(), "full dump");
  EXPECT_EQ(PhysicalByte(*dump, 0x0FFF), -1);
  EXPECT_EQ(PhysicalByte(*dump, 0x1000), 1);
  EXPECT_EQ(PhysicalByte(*dump, 0x2FFF), 2);
  EXPECT_EQ(PhysicalByte(*dump, 0x3000), -1);
  EXPECT_EQ(PhysicalByte(*dump, 0x10800), 16);
}

TEST(PageMap, AReadEndsWhereThePagesEnd) {
  const auto dump = FullDump().Open();
  ASSERT_TRUE(dump);
  kd::Bytes out(0x3000);
  EXPECT_EQ(dump->ReadPhysical(0x1800, out), 0x1800u);
  EXPECT_EQ(out[0], std::byte{1});
  EXPECT_EQ(out[0x800], std::byte{2});
}

TEST(PageMap, ACutFullDumpGivesWhatIsThere) {
  DumpBuilder builder = FullDump();
  builder.bytes.resize(0x4100);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump);
  EXPECT_THAT(dump->warnings(), testing::ElementsAre(HasSubstr("the dump is cut: 3 KiB")));
  EXPECT_EQ(PhysicalByte(*dump, 0x100FF), 16);
  EXPECT_EQ(PhysicalByte(*dump, 0x10100), -1);
}

TEST(PageMap, RunsThatOverlapOrLieBeyondMemoryAreRefused) {
  DumpBuilder overlapping = FullDump();
  overlapping.Put64(0xA8, 2);
  EXPECT_FALSE(overlapping.Open());
  DumpBuilder beyond = FullDump();
  beyond.Put64(0xA8, ~std::uint64_t{0} - 1).Put64(0xB0, 5);
  EXPECT_FALSE(beyond.Open());
  EXPECT_FALSE(DumpBuilder(1).Put32(0x88, 43).Open());
}

DumpBuilder BitmapDump(std::uint64_t pages) {
  DumpBuilder builder(6);
  const std::uint64_t first = 0x2038 + (pages + 7) / 8;
  builder.Text(0x2000, "SDMPDUMP").Put64(0x2020, first).Put64(0x2028, 3).Put64(0x2030, pages);
  builder.Fill(0x2038, (pages + 7) / 8, 0);
  const auto set = [&](std::uint64_t page) {
    builder.bytes[0x2038 + page / 8] |= static_cast<std::byte>(1 << (page % 8));
  };
  set(0);
  set(700);
  set(pages - 1);
  for (std::uint8_t i = 0; i < 3; ++i)
    builder.Fill(first + 0x1000 * i, 0x1000, static_cast<std::uint8_t>(0x10 + i));
  return builder;
}

TEST(PageMap, ABitmapCountsThePagesBefore) {
  for (const std::uint64_t pages : {1024, 1027, 1089}) {
    const auto dump = BitmapDump(pages).Open();
    ASSERT_TRUE(dump) << dump.error().message;
    EXPECT_THAT(dump->warnings(), testing::IsEmpty());
    EXPECT_EQ(PhysicalByte(*dump, 0), 0x10);
    EXPECT_EQ(PhysicalByte(*dump, 0x1000), -1);
    EXPECT_EQ(PhysicalByte(*dump, 700 * 0x1000 + 5), 0x11);
    EXPECT_EQ(PhysicalByte(*dump, (pages - 1) * 0x1000), 0x12) << pages;
    EXPECT_EQ(PhysicalByte(*dump, pages * 0x1000), -1);
  }
}

TEST(PageMap, ABitmapThatContradictsItselfIsRefused) {
  EXPECT_FALSE(BitmapDump(1024).Put64(0x2030, std::uint64_t{1} << 60).Open());
  EXPECT_FALSE(BitmapDump(1024).Put64(0x2020, 0x2000).Open());
  EXPECT_FALSE(BitmapDump(1024).Put64(0x2030, 0).Open());
  const auto other_count = BitmapDump(1024).Put64(0x2028, 9).Open();
  ASSERT_TRUE(other_count);
  EXPECT_THAT(other_count->warnings(), testing::ElementsAre(HasSubstr("3 pages, its header 9")));
}

TEST(PageMap, RangesEndAtAZeroPage) {
  DumpBuilder builder(8);
  builder.Put32(0x2000, 0x40).Text(0x2004, "RDMPDUMP").Put64(0x2010, 0x40).Put64(0x2018, 0x2060);
  builder.Put64(0x2030, 5).Put64(0x2038, 1).Put64(0x2040, 9).Put64(0x2048, 1).Put64(0x2050, 0).Put64(0x2058,
                                                                                                     0);
  builder.Fill(0x2060, 0x1000, 5).Fill(0x3060, 0x1000, 9);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(PhysicalByte(*dump, 0x5000), 5);
  EXPECT_EQ(PhysicalByte(*dump, 0x9FFF), 9);
  builder.Put64(0x2018, 0x2000);
  EXPECT_FALSE(builder.Open());
}

}  // namespace
}  // namespace longwire::dump::test
