#include "client/engine/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/engine/register_format.h"

namespace longwire {
namespace {

using ::testing::ElementsAre;

RegisterSet Empty(Architecture architecture, std::size_t size) {
  return RegisterSet(architecture, std::vector<std::byte>(size));
}

TEST(RegisterSet, ReadsPartsOfARegister) {
  RegisterSet set = Empty(Architecture::kAmd64, 0x4d0);
  ASSERT_TRUE(set.Set("rax", 0x1122334455667788));
  EXPECT_EQ(set.Get("EAX"), 0x55667788u);
  EXPECT_EQ(set.Get("ax"), 0x7788u);
  EXPECT_EQ(set.Get("ah"), 0x77u);
  EXPECT_EQ(set.Get("al"), 0x88u);
  ASSERT_TRUE(set.Set("r8", 0xa1a2a3a4b1b2b3b4));
  EXPECT_EQ(set.Get("r8d"), 0xb1b2b3b4u);
  EXPECT_EQ(set.Get("r8w"), 0xb3b4u);
  EXPECT_EQ(set.Get("r8b"), 0xb4u);
}

TEST(RegisterSet, DwordWriteClearsTheHighHalfOnly64Bit) {
  RegisterSet set = Empty(Architecture::kAmd64, 0x4d0);
  set.Set("rcx", ~std::uint64_t{0});
  ASSERT_TRUE(set.Set("cx", 0x1234));
  EXPECT_EQ(set.Get("rcx"), 0xffffffffffff1234u);
  ASSERT_TRUE(set.Set("ch", 0xab));
  EXPECT_EQ(set.Get("rcx"), 0xffffffffffffab34u);
  ASSERT_TRUE(set.Set("ecx", 0x5'00000007));
  EXPECT_EQ(set.Get("rcx"), 7u);
  RegisterSet arm = Empty(Architecture::kArm64, 0x390);
  arm.Set("x3", ~std::uint64_t{0});
  ASSERT_TRUE(arm.Set("w3", 9));
  EXPECT_EQ(arm.Get("x3"), 9u);
}

TEST(RegisterSet, FlagsAreBitsOfTheFlagsRegister) {
  RegisterSet set = Empty(Architecture::kAmd64, 0x4d0);
  set.Set("efl", 0x3246);
  EXPECT_EQ(set.Get("zf"), 1u);
  EXPECT_EQ(set.Get("cf"), 0u);
  EXPECT_EQ(set.Get("iopl"), 3u);
  ASSERT_TRUE(set.Set("iopl", 0));
  ASSERT_TRUE(set.Set("cf", 1));
  EXPECT_EQ(set.Get("efl"), 0x247u);
}

// Offsets of kd-protocol.md 5.9: a byte planted in the record shows in the register.
TEST(RegisterSet, LayoutOfTheRecords) {
  struct Place {
    Architecture architecture;
    std::size_t size, offset;
    const char* name;
  };
  const Place places[] = {
      {Architecture::kAmd64, 0x4d0, 0x78, "rax"},   {Architecture::kAmd64, 0x4d0, 0x98, "rsp"},
      {Architecture::kAmd64, 0x4d0, 0xf0, "r15"},   {Architecture::kAmd64, 0x4d0, 0xf8, "rip"},
      {Architecture::kAmd64, 0x4d0, 0x42, "ss"},    {Architecture::kAmd64, 0x4d0, 0x70, "dr7"},
      {Architecture::kAmd64, 0x4d0, 0x34, "mxcsr"}, {Architecture::kX86, 0x2cc, 0xb0, "eax"},
      {Architecture::kX86, 0x2cc, 0xc4, "esp"},     {Architecture::kX86, 0x2cc, 0xb8, "eip"},
      {Architecture::kX86, 0x2cc, 0x8c, "gs"},      {Architecture::kX86, 0x2cc, 0x14, "dr6"},
      {Architecture::kArm64, 0x390, 0x08, "x0"},    {Architecture::kArm64, 0x390, 0xf0, "fp"},
      {Architecture::kArm64, 0x390, 0xf8, "lr"},    {Architecture::kArm64, 0x390, 0x108, "pc"},
      {Architecture::kArm64, 0x390, 0x310, "fpcr"}};
  for (const Place& place : places) {
    std::vector<std::byte> context(place.size);
    context[place.offset] = std::byte{0x5a};
    EXPECT_EQ(RegisterSet(place.architecture, context).Get(place.name), 0x5au) << place.name;
  }
  std::vector<std::byte> context(0x4d0);
  context[0x1a0 + 15 * 16] = std::byte{0x5a};
  const auto vector = RegisterSet(Architecture::kAmd64, context).GetVector("XMM15");
  ASSERT_TRUE(vector);
  EXPECT_EQ((*vector)[0], std::byte{0x5a});
}

TEST(RegisterSet, ShortRecordLeavesRegistersAbsent) {
  RegisterSet set = Empty(Architecture::kAmd64, 0x100);
  EXPECT_TRUE(set.Get("rip"));
  EXPECT_FALSE(set.GetVector("xmm0"));
  EXPECT_FALSE(set.Get("fpcw"));
  EXPECT_FALSE(set.Set("fpcw", 1));
  EXPECT_FALSE(set.Get("nosuch"));
  EXPECT_FALSE(RegisterSet().Get("rax"));
}

TEST(RegisterSet, KnowsNamesWithoutARecord) {
  EXPECT_TRUE(IsRegisterName(Architecture::kAmd64, "R10D"));
  EXPECT_TRUE(IsRegisterName(Architecture::kAmd64, "cr3"));
  EXPECT_TRUE(IsRegisterName(Architecture::kAmd64, "ymm15"));
  EXPECT_FALSE(IsRegisterName(Architecture::kX86, "rax"));
  EXPECT_FALSE(IsRegisterName(Architecture::kArm64, "cr3"));
  EXPECT_TRUE(IsRegisterName(Architecture::kArm64, "x29"));
}

TEST(RegisterFormat, X64Block) {
  RegisterSet set = Empty(Architecture::kAmd64, 0x4d0);
  const std::pair<const char*, std::uint64_t> values[] = {{"rax", 0xffffc08be4da6240},
                                                          {"rbx", 1},
                                                          {"rcx", 0x20},
                                                          {"rdx", 1},
                                                          {"rsi", 0xffffc08be457fcf0},
                                                          {"rdi", 0xffffc08be52e7310},
                                                          {"rip", 0xfffff8048b58334c},
                                                          {"rsp", 0xffff850429892120},
                                                          {"rbp", 0xfffff8048b58f598},
                                                          {"r8", 0xffff9b0003360008},
                                                          {"r9", 0x44},
                                                          {"r10", 0x20},
                                                          {"r11", 0x20},
                                                          {"r12", 0x15},
                                                          {"r13", 0xfffff8048b590b01},
                                                          {"r15", 0x15},
                                                          {"efl", 0x50246},
                                                          {"cs", 0x10},
                                                          {"ss", 0x18},
                                                          {"ds", 0x2b},
                                                          {"es", 0x2b},
                                                          {"fs", 0x53},
                                                          {"gs", 0x2b}};
  for (const auto& [name, value] : values) ASSERT_TRUE(set.Set(name, value)) << name;
  EXPECT_THAT(
      FormatRegisterBlock(set),
      ElementsAre("rax=ffffc08be4da6240 rbx=0000000000000001 rcx=0000000000000020",
                  "rdx=0000000000000001 rsi=ffffc08be457fcf0 rdi=ffffc08be52e7310",
                  "rip=fffff8048b58334c rsp=ffff850429892120 rbp=fffff8048b58f598",
                  " r8=ffff9b0003360008  r9=0000000000000044 r10=0000000000000020",
                  "r11=0000000000000020 r12=0000000000000015 r13=fffff8048b590b01",
                  "r14=0000000000000000 r15=0000000000000015", "iopl=0         nv up ei pl zr na pe nc",
                  "cs=0010  ss=0018  ds=002b  es=002b  fs=0053  gs=002b             efl=00050246"));
}

TEST(RegisterFormat, X86Block) {
  RegisterSet set = Empty(Architecture::kX86, 0x2cc);
  const std::pair<const char*, std::uint64_t> values[] = {
      {"ebx", 0x8b6f00},  {"ecx", 0x1010101}, {"edx", 0xffffffff}, {"edi", 0x465000}, {"eip", 0x77f9d022},
      {"esp", 0x5cffc48}, {"ebp", 0x5cffc54}, {"efl", 0x286},      {"cs", 0x1b},      {"ss", 0x23},
      {"ds", 0x23},       {"es", 0x23},       {"fs", 0x38}};
  for (const auto& [name, value] : values) ASSERT_TRUE(set.Set(name, value)) << name;
  EXPECT_THAT(FormatRegisterBlock(set),
              ElementsAre("eax=00000000 ebx=008b6f00 ecx=01010101 edx=ffffffff esi=00000000 edi=00465000",
                          "eip=77f9d022 esp=05cffc48 ebp=05cffc54 iopl=0         nv up ei ng nz na pe nc",
                          "cs=001b  ss=0023  ds=0023  es=0023  fs=0038  gs=0000             efl=00000286"));
}

TEST(RegisterFormat, Arm64Block) {
  RegisterSet set = Empty(Architecture::kArm64, 0x390);
  set.Set("x0", 0x1c8);
  set.Set("x1", 0x1b58);
  set.Set("fp", 0xffffe00e0e4bc4a0);
  set.Set("lr", 0xfffff803f3445678);
  set.Set("sp", 0xffffe00e0e4bc4a0);
  set.Set("pc", 0xfffff803f32de014);
  set.Set("psr", 0x60000044);
  const std::vector<std::string> lines = FormatRegisterBlock(set);
  ASSERT_EQ(lines.size(), 9u);
  EXPECT_EQ(lines[0],
            " x0=00000000000001c8   x1=0000000000001b58   x2=0000000000000000   x3=0000000000000000");
  EXPECT_EQ(lines[7],
            "x28=0000000000000000   fp=ffffe00e0e4bc4a0   lr=fffff803f3445678   sp=ffffe00e0e4bc4a0");
  EXPECT_EQ(lines[8], " pc=fffff803f32de014  psr=60000044 -ZC- EL1");
}

TEST(FormatAddress, ByPointerSize) {
  EXPECT_EQ(FormatAddress(0xfffff80412345678), "fffff804`12345678");
  EXPECT_EQ(FormatAddress(0xffffffff81234567, 4), "81234567");
}

}  // namespace
}  // namespace longwire
