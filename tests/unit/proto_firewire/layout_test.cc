#include "proto/firewire/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/firewire_machine.h"

namespace longwire::firewire {
namespace {

using testing::HasSubstr;

TEST(Firewire, F01_RomWithTheThreeKeysInOrder) {
  test::FirewireMachine machine(9);
  EXPECT_EQ(FindConfiguration(machine.rom), test::FirewireMachine::kBlock);
  const auto found = ParseConfiguration(machine.block, 9);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->send, test::FirewireMachine::kSend);
  EXPECT_EQ(found->receive, test::FirewireMachine::kReceive);
  std::swap(machine.rom[8], machine.rom[9]);
  EXPECT_FALSE(FindConfiguration(machine.rom));
}

TEST(Firewire, F01_RomsThatAreCutOrNotOurs) {
  const test::FirewireMachine machine(9);
  for (std::size_t size = 0; size < machine.rom.size(); ++size)
    EXPECT_FALSE(FindConfiguration(std::span(machine.rom).first(size))) << size;
  auto rom = machine.rom;
  rom[5] = 0x00040000;  // the directory ends before the address
  EXPECT_FALSE(FindConfiguration(rom));
  rom[0] = 0xFF000000;
  EXPECT_FALSE(FindConfiguration(rom));
}

TEST(Firewire, F02_BlocksThatDoNotFit) {
  test::FirewireMachine machine(9);
  EXPECT_THAT(ParseConfiguration(machine.block, 8).error().message, HasSubstr("channel 9"));
  EXPECT_EQ(ParseConfiguration(kd::ByteView(machine.block).first(31), 9).error().code, Errc::kMalformed);
  auto block = machine.block;
  block[4] = std::byte{2};
  EXPECT_THAT(ParseConfiguration(block, 9).error().message, HasSubstr("version 2"));
  block = machine.block;
  block[0] = std::byte{0};
  EXPECT_EQ(ParseConfiguration(block, 9).error().code, Errc::kMalformed);
  block = machine.block;
  block[0x14] = std::byte{1};  // above 4 GiB
  EXPECT_EQ(ParseConfiguration(block, 9).error().code, Errc::kMalformed);
  block = machine.block;
  std::copy_n(block.begin() + 0x10, 8, block.begin() + 0x18);  // one upon the other
  EXPECT_EQ(ParseConfiguration(block, 9).error().code, Errc::kMalformed);
}

}  // namespace
}  // namespace longwire::firewire
