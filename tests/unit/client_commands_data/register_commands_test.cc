#include "tests/unit/client_commands_data/debugged_sample.h"

namespace longwire {
namespace {

using RegisterCommands = DebuggedSample;
using ::testing::HasSubstr;

TEST_F(RegisterCommands, BlockAndCurrentInstruction) {
  EXPECT_EQ(Run("r"),
            "rax=0000000000000011 rbx=0000000000000001 rcx=0000000000000000\n"
            "rdx=0000000000000000 rsi=0000000000000000 rdi=0000000000000000\n"
            "rip=fffff8065678106d rsp=ffff850429890e00 rbp=0000000000000000\n"
            " r8=0000000000000000  r9=0000000000000000 r10=0000000000000000\n"
            "r11=0000000000000000 r12=0000000000000000 r13=0000000000000000\n"
            "r14=0000000000000000 r15=0000000000000000\n"
            "iopl=0         nv up ei pl zr na pe nc\n"
            "cs=0010  ss=0018  ds=002b  es=0000  fs=0000  gs=0000             efl=00050246\n"
            "sample!SampleHandler+0x1d:\n"
            "fffff806`5678106d 488b0424        mov     rax,qword ptr [rsp] "
            "ss:0018:ffff8504`29890e00=0000000000000007\n");
}

TEST_F(RegisterCommands, ShowsNamedOnes) {
  EXPECT_EQ(Run("r rax,rbx"), "rax=0000000000000011\nrbx=0000000000000001\n");
  EXPECT_EQ(Run("r @al efl zf"), "al=11\nefl=00050246\nzf=1\n");
  EXPECT_EQ(Run("r $t3"), "$t3=0000000000000000\n");
  EXPECT_EQ(Run("r foo"), "^ Bad register error in 'r foo'\n");
}

TEST_F(RegisterCommands, SetsRegistersAndVariables) {
  EXPECT_EQ(Run("r rax=5, $t0 = 7"), "");
  EXPECT_EQ(Run("r rax,$t0"), "rax=0000000000000005\n$t0=0000000000000007\n");
  EXPECT_EQ(Run("r eax = ffffffff; r rax"), "rax=00000000ffffffff\n");
  EXPECT_EQ(Run("r $ip = sample!SampleStart; r rip"), "rip=fffff80656781000\n");
  EXPECT_EQ(Run("r $proc=1"), "^ Bad register error in 'r $proc=1'\n");
  EXPECT_EQ(Run("r rax="), "^ Numeric expression missing from 'r rax='\n");
}

TEST_F(RegisterCommands, Vectors) {
  RegisterSet changed = registers;
  std::array<std::byte, 16> vector{};
  vector[0] = std::byte{0xff};
  vector[7] = std::byte{0x40};
  changed.SetVector("xmm1", vector);
  target.SetContext(0, {changed.context().begin(), changed.context().end()});
  EXPECT_EQ(Run("r xmm1"), "xmm1=0 0 2 3.57331e-043\n");
  EXPECT_EQ(Run("r xmm1:uq"), "xmm1=0000000000000000 40000000000000ff\n");
  EXPECT_EQ(Run("r xmm1:b"), "xmm1=0 0 0 0 0 0 0 0 64 0 0 0 0 0 0 -1\n");
}

TEST_F(RegisterCommands, TheMaskChoosesBlocks) {
  EXPECT_EQ(Run("rm"),
            "Register output mask is a:\n       2 - Integer state (64-bit)\n       8 - Segment registers\n");
  EXPECT_EQ(Run("rM 20"),
            "dr0=0000000000000000 dr1=0000000000000000 dr2=0000000000000000\n"
            "dr3=0000000000000000 dr6=0000000000000000 dr7=0000000000000000\n");
  Run("rm 20");
  EXPECT_THAT(Run("r"), testing::StartsWith("dr0="));
}

TEST_F(RegisterCommands, OperandsOfTheCurrentInstruction) {
  EXPECT_EQ(Run("r."),
            "rax=0000000000000011  rsp=ffff850429890e00  ss:0018:ffff8504`29890e00=0000000000000007\n");
}

TEST_F(RegisterCommands, RowsHoldEveryRegister) {
  const Report report = Reported("r");
  ASSERT_EQ(report.rows().size(), 1u);
  EXPECT_EQ(report.rows()[0].kind, "registers");
  EXPECT_EQ(report.rows()[0].fields[0].name, "rax");
  EXPECT_EQ(std::get<Hex>(report.rows()[0].fields[0].value).value, 0x11u);
}

}  // namespace
}  // namespace longwire
