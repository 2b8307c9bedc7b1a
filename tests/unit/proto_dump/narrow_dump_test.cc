#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/kd/debugger_data.h"
#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::dump::test {
namespace {

using testing::ElementsAre;

TEST(NarrowDump, FieldsStandWhereTheFormatSays) {
  DumpBuilder builder = DumpBuilder::Narrow(3);
  builder.Put32(0x10, 0x39020).Put32(0x18, 0x80600000).Put32(0x28, 0x1000008E).Put32(0x2C, 0xC0000005);
  builder.Put32(0x60, 0x80550000).Put32(0x5C, 1);
  builder.Put32(0x320 + 0xB8, 0x804F1234);
  builder.Put32(0x7D0, 0x80000003).Put32(0x7DC, 0x804F1234).Put32(0x7E0, 1).Put32(0x7E4, 7);
  builder.Text(0x820, std::string_view("by hand\0", 8));
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  const KernelHeader& header = dump->header();
  EXPECT_EQ(header.machine, kd::Machine::kX86);
  EXPECT_TRUE(header.pae);
  EXPECT_EQ(header.directory_table_base, 0x39020u) << "of PAE: any place of 32 bytes";
  EXPECT_EQ(header.loaded_module_list, 0x80600000u);
  EXPECT_EQ(header.bugcheck_code, 0x8Eu);
  EXPECT_EQ(header.bugcheck_parameters[0], 0xC0000005u);
  EXPECT_EQ(header.debugger_data_address, 0x80550000u);
  EXPECT_EQ(header.context.size(), 0x2CCu);
  EXPECT_EQ(kd::Load32(header.context, 0xB8), 0x804F1234u);
  EXPECT_EQ(header.exception.address, 0x804F1234u);
  EXPECT_THAT(header.exception.parameters, ElementsAre(7));
  EXPECT_EQ(header.comment, "by hand");
}

TEST(NarrowDump, PagesOfAFullDumpFollowTheShorterHeader) {
  DumpBuilder builder = DumpBuilder::Narrow(1);
  builder.Put32(0x64, 2).Put32(0x68, 3).Put32(0x6C, 1).Put32(0x70, 2).Put32(0x74, 0x100).Put32(0x78, 1);
  builder.Fill(0x1000, 0x1000, 0x11).Fill(0x2000, 0x1000, 0x22).Fill(0x3000, 0x1000, 0x33);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(PhysicalByte(*dump, 0x0000), -1);
  EXPECT_EQ(PhysicalByte(*dump, 0x1000), 0x11);
  EXPECT_EQ(PhysicalByte(*dump, 0x2FFF), 0x22);
  EXPECT_EQ(PhysicalByte(*dump, 0x100000), 0x33);
}

TEST(NarrowDump, ABitmapIsTakenWhenItsArithmeticFits) {
  DumpBuilder builder = DumpBuilder::Narrow(2);
  builder.Text(0x1000, "SDMPDUMP")
      .Put64(0x1020, 0x2000)
      .Put64(0x1028, 1)
      .Put64(0x1030, 16)
      .Fill(0x1038, 2, 0);
  builder.Fill(0x1038, 1, 0x04).Fill(0x2000, 0x1000, 0x77);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(PhysicalByte(*dump, 0x2000), 0x77);
  EXPECT_EQ(PhysicalByte(*dump, 0x1000), -1);
  EXPECT_FALSE(builder.Put64(0x1020, 0x9000).Open());
}

/// TRIAGE_DUMP32 behind the header: a stack, a data block, two drivers and an unloaded one.
TEST(NarrowDump, ATriageDumpHasNarrowLists) {
  DumpBuilder builder = DumpBuilder::Narrow(4);
  constexpr std::uint32_t kPart = 0x1000, kStack = 0x2000, kBlock = 0x2100, kBlocks = 0x2200,
                          kDrivers = 0x2300, kStrings = 0x2400, kUnloadedList = 0x2500, kEnd = 0x2600;
  builder.Fill(kPart, 0x80, 0).Put32(kPart + 0x08, kEnd).Text(kEnd, "TRGD");
  builder.Put32(kPart + 0x28, kStack).Put32(kPart + 0x2C, 0x40).Put32(kPart + 0x48, 0xF7A4C000);
  builder.Fill(kStack, 0x40, 0x5A).Fill(kBlock, 0x20, 0x6B);
  builder.Put32(kPart + 0x60, kBlocks).Put32(kPart + 0x64, 1);
  builder.Put32(kBlocks, 0x804E0080).Put32(kBlocks + 4, kBlock).Put32(kBlocks + 8, 0x20);
  builder.Put32(kPart + 0x30, kDrivers).Put32(kPart + 0x34, 2).Fill(kDrivers, 2 * 0x4C, 0);
  const auto driver = [&](std::uint32_t at, std::uint32_t base, std::uint32_t name) {
    builder.Put32(at, name).Put32(at + 4 + 0x18, base).Put32(at + 4 + 0x20, 0x5000);
    builder.Put32(at + 4 + 0x40, 0x77).Put32(at + 4 + 0x44, 0x4CE7);
  };
  driver(kDrivers, 0x804D7000, kStrings);
  driver(kDrivers + 0x4C, 0xF7000000, kStrings + 0x20);
  const auto string = [&](std::uint32_t at, std::string_view text) {
    builder.Put32(at, static_cast<std::uint32_t>(text.size()));
    for (std::size_t i = 0; i < text.size(); ++i)
      builder.Put16(at + 4 + 2 * i, static_cast<unsigned char>(text[i]));
  };
  string(kStrings, "nt.exe");
  string(kStrings + 0x20, "lab.sys");
  builder.Put32(kPart + 0x18, kUnloadedList).Put32(kUnloadedList, 1).Put16(kUnloadedList + 4, 6);
  builder.Put16(kUnloadedList + 12, 'o').Put16(kUnloadedList + 14, 'l').Put16(kUnloadedList + 16, 'd');
  builder.Put32(kUnloadedList + 0x24, 0xF8000000).Put32(kUnloadedList + 0x28, 0xF8003000);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  ASSERT_NE(dump->triage(), nullptr);
  EXPECT_EQ(VirtualByte(*dump, 0xF7A4C03F), 0x5A);
  EXPECT_EQ(VirtualByte(*dump, 0x804E0080), 0x6B);
  EXPECT_EQ(VirtualByte(*dump, 0x804E00A0), -1);
  ASSERT_EQ(dump->triage()->modules().size(), 2u);
  EXPECT_EQ(dump->triage()->modules()[1].name, "lab.sys");
  EXPECT_EQ(dump->triage()->modules()[1].base, 0xF7000000u);
  EXPECT_EQ(dump->triage()->modules()[1].timestamp, 0x4CE7u);
  ASSERT_EQ(dump->triage()->unloaded().size(), 1u);
  EXPECT_EQ(dump->triage()->unloaded()[0].name, "old");
  EXPECT_EQ(dump->triage()->unloaded()[0].size, 0x3000u);
}

}  // namespace
}  // namespace longwire::dump::test
