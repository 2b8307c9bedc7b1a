#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::dump::test {
namespace {

using testing::HasSubstr;

TEST(KernelHeader, WhatTheWriterLeftUnsetIsAbsent) {
  const auto dump = DumpBuilder(3).Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_EQ(dump->header().build, 19041u);
  EXPECT_EQ(dump->header().directory_table_base, 0u);
  EXPECT_EQ(dump->header().bugcheck_code, 0u);
  EXPECT_EQ(dump->header().comment, "");
  EXPECT_TRUE(dump->header().runs.empty());
}

TEST(KernelHeader, FieldsStandWhereTheFormatSays) {
  DumpBuilder builder(3);
  builder.Put64(0x10, 0x1AD002)
      .Put32(0x38, 0x1000007E)
      .Put64(0x40, 0xFFFFFFFFC0000005)
      .Put64(0x80, 0xFFFFF80000001000);
  builder.Put32(0xF00, 0x80000003).Put64(0xF10, 0xFFFFF80012340000).Put32(0xF18, 1).Put64(0xF20, 7);
  builder.Text(0xFB0, std::string_view("by hand\0", 8));
  const auto dump = builder.Open();
  ASSERT_TRUE(dump);
  const KernelHeader& header = dump->header();
  EXPECT_EQ(header.directory_table_base, 0x1AD000u);
  EXPECT_EQ(header.bugcheck_code, 0x7Eu);
  EXPECT_EQ(header.bugcheck_parameters[0], 0xFFFFFFFFC0000005u);
  EXPECT_EQ(header.exception.code, 0x80000003u);
  EXPECT_EQ(header.exception.parameters, std::vector<std::uint64_t>{7});
  EXPECT_EQ(header.comment, "by hand");
  EXPECT_EQ(header.context.size(), 0x4D0u);
}

TEST(KernelHeader, OtherFilesAreNamed) {
  const auto error_of = [](std::string_view text) {
    DumpBuilder builder(1);
    builder.Text(0, text);
    const auto dump = builder.Open();
    return dump ? Error{} : dump.error();
  };
  EXPECT_THAT(error_of("MSCF").message, HasSubstr("cabinet"));
  EXPECT_THAT(error_of("\x7f"
                       "ELF")
                  .message,
              HasSubstr("Linux core"));
  EXPECT_EQ(error_of("hello, world").code, Errc::kMalformed);
}

TEST(KernelHeader, ACutHeaderIsAnError) {
  DumpBuilder builder(3);
  for (const std::size_t size : {std::size_t{0}, std::size_t{3}, std::size_t{8}, std::size_t{0x1FFF}}) {
    kd::Bytes bytes(builder.bytes.begin(), builder.bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(KernelDump::Open(std::make_unique<MemoryFile>(bytes))) << size;
  }
}

TEST(KernelHeader, AnUnknownTypeOrMachineIsRefused) {
  EXPECT_FALSE(DumpBuilder(0x77).Open());
  const auto itanium = DumpBuilder(3, 0x200).Open();
  ASSERT_FALSE(itanium);
  EXPECT_EQ(itanium.error().code, Errc::kUnsupported);
}

TEST(KernelHeader, AnUnfinishedDumpWarns) {
  const auto dump = DumpBuilder(3).Put32(0x1048, 0xC000007F).Open();
  ASSERT_TRUE(dump);
  EXPECT_THAT(dump->warnings(), testing::ElementsAre(HasSubstr("C000007F")));
}

}  // namespace
}  // namespace longwire::dump::test
