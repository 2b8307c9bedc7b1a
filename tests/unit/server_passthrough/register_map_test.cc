#include "server/passthrough/register_map.h"

#include <gtest/gtest.h>

#include "proto/gdb/target_description.h"

namespace longwire {
namespace {

gdb::TargetDescription Parsed(const RegisterMap& map) {
  auto parsed = gdb::TargetDescription::Parse({{"target.xml", map.Describe()}});
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : gdb::TargetDescription{};
}

struct Expected {
  kd::Machine machine;
  const char* architecture;
  const char* counter;
  std::uint32_t number, packed_offset;  ///< as gdb's own features have them
};

class RegisterMapOf : public testing::TestWithParam<Expected> {};

TEST_P(RegisterMapOf, IsReadByGdbsRulesAsItPacks) {
  const auto map = RegisterMap::For(GetParam().machine);
  ASSERT_TRUE(map);
  const gdb::TargetDescription parsed = Parsed(*map);
  EXPECT_EQ(parsed.architecture(), GetParam().architecture);
  ASSERT_EQ(parsed.registers().size(), map->registers().size());
  const gdb::Register* counter = parsed.Find(GetParam().counter);
  ASSERT_NE(counter, nullptr);
  EXPECT_EQ(counter->number, GetParam().number);
  EXPECT_EQ(counter->offset, GetParam().packed_offset);

  // Every byte of the record is told apart: each register must come from its own place, at its own offset.
  const kd::ContextLayout* layout = kd::FindContextLayout(GetParam().machine);
  kd::Bytes context(layout->size);
  for (std::size_t i = 0; i < context.size(); ++i) context[i] = static_cast<std::byte>(i * 7 + i / 256);
  const kd::Bytes packed = map->Pack(context);
  for (const gdb::Register& one : parsed.registers()) {
    const kd::RegisterField* field = kd::FindContextRegister(GetParam().machine, one.name);
    if (field == nullptr || one.offset >= packed.size()) continue;
    for (std::size_t i = 0; i < std::min<std::size_t>(field->size, one.bits / 8); ++i)
      EXPECT_EQ(packed[one.offset + i], context[field->offset + i]) << one.name;
  }
  kd::Bytes back(layout->size);
  map->Unpack(packed, back);
  EXPECT_EQ(map->Pack(back), packed);
}

INSTANTIATE_TEST_SUITE_P(Machines, RegisterMapOf,
                         testing::Values(Expected{kd::Machine::kAmd64, "i386:x86-64", "rip", 16, 128},
                                         Expected{kd::Machine::kX86, "i386", "eip", 8, 32},
                                         Expected{kd::Machine::kArm64, "aarch64", "pc", 32, 256}),
                         [](const auto& info) { return std::string(info.param.counter); });

TEST(RegisterMap, KnowsNoOtherMachines) { EXPECT_FALSE(RegisterMap::For(kd::Machine::kArm)); }

TEST(RegisterMap, SmallFieldsAreExtendedAndOnlyTheyAreWritten) {
  const auto map = RegisterMap::For(kd::Machine::kAmd64);
  kd::Bytes context(0x4D0, std::byte{0xFF});
  kd::Store(std::span(context), 0x38, std::uint16_t{0x10});  // cs
  const ServedRegister& cs = map->registers()[*map->Find("cs")];
  EXPECT_EQ(kd::Load32(map->Get(cs, context), 0), 0x10u);
  const kd::Bytes wish{std::byte{0x33}, std::byte{0}, std::byte{0xAA}, std::byte{0xAA}};
  map->Set(cs, wish, context);
  EXPECT_EQ(kd::Load32(context, 0x38), 0xFFFF0033u);  // ds behind it is untouched
}

TEST(RegisterMap, TheTagWordIsMadeOfTheTagByteAndTheValues) {
  const auto map = RegisterMap::For(kd::Machine::kAmd64);
  kd::Bytes context(0x4D0);
  kd::Store(std::span(context), 0x102, static_cast<std::uint16_t>(6 << 11));  // top of the stack: 6
  context[0x104] = std::byte{0xC0};                                           // 6 and 7 are in use
  kd::Store(std::span(context), 0x120, std::uint64_t{1} << 63);               // st0 = physical 6: 1.0
  kd::Store(std::span(context), 0x128, std::uint16_t{0x3FFF});                // st1 = physical 7: 0
  const ServedRegister& tag = map->registers()[*map->Find("ftag")];
  EXPECT_EQ(kd::Load32(map->Get(tag, context), 0), 0x4FFFu);
  const kd::Bytes wish{std::byte{0xFC}, std::byte{0xFF}, std::byte{0}, std::byte{0}};  // 0 in use, no other
  map->Set(tag, wish, context);
  EXPECT_EQ(context[0x104], std::byte{0x01});
}

TEST(RegisterMap, ShortDataChangesOnlyWhatItHolds) {
  const auto map = RegisterMap::For(kd::Machine::kAmd64);
  kd::Bytes context(0x4D0, std::byte{0x11});
  map->Unpack(kd::Bytes(12, std::byte{0x22}), context);  // rax and half of rbx
  EXPECT_EQ(kd::Load64(context, 0x78), 0x2222222222222222u);
  EXPECT_EQ(kd::Load64(context, 0x90), 0x1111111111111111u);
}

}  // namespace
}  // namespace longwire
