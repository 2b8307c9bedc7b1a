#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/proto_dump/minidump_builder.h"

namespace longwire::dump::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kStack = 0x18F000, kCode = 0x7FF61000;

MinidumpBuilder Usual(kd::Machine machine) {
  MinidumpBuilder builder(machine);
  builder.Threads(
      {{0x10, 0x7FFDE000, kStack, kd::Bytes(0x40, std::byte{0x11}), builder.Context(kCode, kStack + 8)},
       {0x20, 0x7FFDD000, kStack + 0x1000, kd::Bytes(0x20, std::byte{0x22}),
        builder.Context(kCode + 4, kStack + 0x1008)}});
  builder.Modules({{kCode, 0x5000, 0x4CE7, "C:\\calc.exe"}, {0x77000000, 0x1000, 1, "ntdll.dll"}});
  return builder;
}

int ByteAt(const Minidump& dump, std::uint64_t address) {
  std::byte byte{};
  return dump.ReadVirtual(address, std::span(&byte, 1)) == 1 ? std::to_integer<int>(byte) : -1;
}

class MinidumpOf : public testing::TestWithParam<kd::Machine> {};

TEST_P(MinidumpOf, ListsWhatItsStreamsHold) {
  MinidumpBuilder builder = Usual(GetParam());
  builder.Memory({{0x500000, kd::Bytes(0x10, std::byte{0x33})}});
  builder.Exception(0x20, 0xC0000005, kCode + 8, builder.Context(kCode + 8, kStack + 0x1010));
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_THAT(dump->warnings(), IsEmpty());
  EXPECT_EQ(dump->machine(), GetParam());
  EXPECT_EQ(dump->process_id(), 0x5FCu);
  EXPECT_EQ(dump->system().build, 7601u);
  EXPECT_EQ(dump->system().service_pack, "Service Pack 1");
  ASSERT_EQ(dump->threads().size(), 2u);
  EXPECT_EQ(dump->threads()[0].teb, 0x7FFDE000u);
  const kd::ContextLayout* layout = kd::FindContextLayout(GetParam());
  EXPECT_EQ(kd::Load32(dump->threads()[0].context, layout->pc_offset), kCode);
  EXPECT_EQ(kd::Load32(dump->threads()[1].context, layout->pc_offset), kCode + 8) << "of the exception";
  ASSERT_EQ(dump->modules().size(), 2u);
  EXPECT_EQ(dump->modules()[0].name, "C:\\calc.exe");
  EXPECT_EQ(dump->modules()[0].timestamp, 0x4CE7u);
  ASSERT_TRUE(dump->exception());
  EXPECT_EQ(dump->exception()->code, 0xC0000005u);
  EXPECT_THAT(dump->exception()->parameters, ElementsAre(1, 0xDEAD));
  EXPECT_EQ(ByteAt(*dump, kStack), 0x11);
  EXPECT_EQ(ByteAt(*dump, kStack + 0x1000), 0x22);
  EXPECT_EQ(ByteAt(*dump, 0x50000F), 0x33);
  EXPECT_EQ(ByteAt(*dump, 0x500010), -1);
}
INSTANTIATE_TEST_SUITE_P(Machines, MinidumpOf,
                         testing::Values(kd::Machine::kX86, kd::Machine::kAmd64, kd::Machine::kArm64));

TEST(Minidump, FullMemoryLiesInOneRow) {
  MinidumpBuilder builder = Usual(kd::Machine::kAmd64);
  builder.Memory64(
      {{0x10000, kd::Bytes(0x1000, std::byte{0x44})}, {0x20000, kd::Bytes(0x10, std::byte{0x55})}});
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_TRUE(dump->full_memory());
  EXPECT_EQ(ByteAt(*dump, 0x10FFF), 0x44);
  EXPECT_EQ(ByteAt(*dump, 0x2000F), 0x55);
  EXPECT_EQ(ByteAt(*dump, 0x11000), -1);
}

TEST(Minidump, ACutFileKeepsWhatIsThere) {
  MinidumpBuilder builder = Usual(kd::Machine::kAmd64);
  builder.Memory64({{0x10000, kd::Bytes(0x1000, std::byte{0x44})}, {0x20000, kd::Bytes(0x10)}});
  builder.file().bytes.resize(builder.file().bytes.size() - 0x810);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_THAT(dump->warnings(), ElementsAre(HasSubstr("the dump is cut")));
  EXPECT_EQ(ByteAt(*dump, 0x107FF), 0x44);
  EXPECT_EQ(ByteAt(*dump, 0x10800), -1);
  EXPECT_EQ(ByteAt(*dump, 0x20000), -1);
}

TEST(Minidump, ListsThatPromiseTooMuchAreCut) {
  MinidumpBuilder builder = Usual(kd::Machine::kX86);
  const std::size_t list = builder.Stream(5, 4 + 0x10);
  builder.file().Put32(list, 0xFFFFFFFF).Put64(list + 4, 0x500000).Put32(list + 12, 4).Put32(list + 16, 0x20);
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_THAT(dump->warnings(), ElementsAre(HasSubstr("memory ranges is damaged")));
  EXPECT_NE(ByteAt(*dump, 0x500000), -1);
}

TEST(Minidump, WhatCannotBeShownIsAnError) {
  EXPECT_FALSE(MinidumpBuilder(kd::Machine::kAmd64).Open()) << "no threads";
  MinidumpBuilder other = Usual(kd::Machine::kAmd64);
  const std::size_t system = kd::Load32(other.file().bytes, 0x20 + 8);
  other.file().Put16(system, 6);
  const auto itanium = other.Open();
  ASSERT_FALSE(itanium);
  EXPECT_EQ(itanium.error().code, Errc::kUnsupported);
  MinidumpBuilder lost = Usual(kd::Machine::kAmd64);
  lost.file().Put32(12, 0x7FFFFFFF);
  EXPECT_FALSE(lost.Open());
}

/// Each module of a foreign file may name a string as long as it likes.
TEST(Minidump, NamesAreBounded) {
  MinidumpBuilder builder(kd::Machine::kAmd64);
  builder.Threads({{0x10, 0, kStack, kd::Bytes(0x40), builder.Context(kCode, kStack)}});
  builder.Modules(std::vector<MinidumpBuilder::Image>(2000, {0x10000, 0x1000, 0, std::string(600, 'n')}));
  const auto dump = builder.Open();
  ASSERT_TRUE(dump) << dump.error().message;
  ASSERT_EQ(dump->modules().size(), 2000u);
  EXPECT_EQ(dump->modules()[0].name, std::string(512, 'n'));
  std::size_t bytes = 0;
  for (const DumpModule& module : dump->modules()) bytes += module.name.size();
  EXPECT_LE(bytes, 1u << 19);
}

/// A real one, when it is at hand (engine.md 0.2).
TEST(SharedMinidump, OfACalculator) {
  const std::filesystem::path path = std::filesystem::path(LW_SHARED_DATA) / "calc.mdmp";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the dump is not here";
  std::ifstream file(path, std::ios::binary);
  kd::Bytes bytes(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto dump = Minidump::Open(std::make_unique<MemoryFile>(bytes));
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_THAT(dump->warnings(), IsEmpty());
  EXPECT_EQ(dump->system().build, 7601u);
  EXPECT_EQ(dump->threads().size(), 5u);
  EXPECT_EQ(dump->modules().size(), 28u);
  ASSERT_TRUE(dump->exception());
  EXPECT_EQ(dump->exception()->code, 0x80000003u);
  EXPECT_EQ(dump->exception()->thread_id, 0x65Cu);
}

}  // namespace
}  // namespace longwire::dump::test
