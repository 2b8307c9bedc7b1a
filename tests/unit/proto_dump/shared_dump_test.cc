// A real triage dump that nobody here made, when it is at hand; figures of engine.md 0.2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "proto/kd/debugger_data.h"
#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::dump::test {
namespace {

TEST(SharedDump, TheTriageDumpOfAnArm64Machine) {
  const std::filesystem::path path = std::filesystem::path(LW_SHARED_DATA) / "triage_arm64.dmp";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the dump is not here";
  std::ifstream file(path, std::ios::binary);
  kd::Bytes bytes(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto dump = KernelDump::Open(std::make_unique<MemoryFile>(bytes));
  ASSERT_TRUE(dump) << dump.error().message;
  EXPECT_THAT(dump->warnings(), testing::IsEmpty());
  EXPECT_EQ(dump->header().machine, kd::Machine::kArm64);
  EXPECT_EQ(dump->header().processors, 8u);
  EXPECT_EQ(dump->header().build, 22000u);
  EXPECT_EQ(dump->header().bugcheck_code, 0x1C8u);
  EXPECT_EQ(dump->header().bugcheck_parameters[0], 0x1B58u);
  ASSERT_NE(dump->triage(), nullptr);
  EXPECT_EQ(dump->triage()->modules().size(), 245u);
  EXPECT_EQ(dump->triage()->unloaded().size(), 11u);
  EXPECT_EQ(dump->triage()->stack_pointer(), 0xFFFFE00E0E4BC4A0u);
  EXPECT_EQ(dump->triage()->debugger_data().size(), 0x380u);
  EXPECT_EQ(dump->triage()->control_block().size(), 0x9680u);
  // The block is where the header says, though no data block holds it.
  std::byte tag[24] = {};
  ASSERT_EQ(dump->ReadVirtual(dump->header().debugger_data_address, tag), sizeof tag);
  EXPECT_EQ(kd::Load32(tag, 0x10), kd::kDebuggerDataTag);
}

}  // namespace
}  // namespace longwire::dump::test
