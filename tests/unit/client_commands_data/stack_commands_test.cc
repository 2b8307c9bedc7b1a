#include "tests/unit/client_commands_data/debugged_sample.h"

namespace longwire {
namespace {

using StackCommands = DebuggedSample;
using ::testing::HasSubstr;

TEST_F(StackCommands, FramesWithTheirReturnAddresses) {
  EXPECT_EQ(Run("k"),
            "Child-SP          RetAddr               Call Site\n"
            "ffff8504`29890e00 fffff806`5678103d     sample!SampleHandler+0x1d\n"
            "ffff8504`29890e28 fffff806`567810d4     sample!SampleStart+0x3d\n"
            "ffff8504`29890e68 00000000`00000000     sample!SampleEntry+0x34\n");
  EXPECT_EQ(Run("kn 2"),
            " # Child-SP          RetAddr               Call Site\n"
            "00 ffff8504`29890e00 fffff806`5678103d     sample!SampleHandler+0x1d\n"
            "01 ffff8504`29890e28 fffff806`567810d4     sample!SampleStart+0x3d\n");
  EXPECT_EQ(Run("kc 1"), " # Call Site\n00 sample!SampleHandler+0x1d\n");
  EXPECT_EQ(Run("kf 2"),
            "  Memory  Child-SP          RetAddr               Call Site\n"
            "          ffff8504`29890e00 fffff806`5678103d     sample!SampleHandler+0x1d\n"
            "      28  ffff8504`29890e28 fffff806`567810d4     sample!SampleStart+0x3d\n");
}

TEST_F(StackCommands, ArgumentsAreTheHomeArea) {
  EXPECT_EQ(Run("kv 1"),
            "Child-SP          RetAddr               : Args to Child                                         "
            "                  : Call Site\n"
            "ffff8504`29890e00 fffff806`5678103d     : 00000000`0000007e 00000000`00000000 00000000`00000000 "
            "00000000`00000000 : sample!SampleHandler+0x1d\n");
  EXPECT_EQ(Run("kb 1"),
            "RetAddr               : Args to Child                                                           "
            ": Call Site\n"
            "fffff806`5678103d     : 00000000`0000007e 00000000`00000000 00000000`00000000 "
            "00000000`00000000 : sample!SampleHandler+0x1d\n");
}

TEST_F(StackCommands, ParametersWithTypes) {
  EXPECT_THAT(
      Run("kp 1"),
      HasSubstr("sample!SampleHandler(struct _SAMPLE_DEVICE * device = 0xfffff806`56783040 _SAMPLE_DEVICE, "
                "unsigned long code = 0x5)+0x1d\n"));
}

TEST_F(StackCommands, FromGivenRegisters) {
  EXPECT_EQ(Run("k = ffff8504`29890e28 sample!SampleStart+3d 1"),
            "Child-SP          RetAddr               Call Site\n"
            "ffff8504`29890e28 fffff806`567810d4     sample!SampleStart+0x3d\n");
}

TEST_F(StackCommands, RawWords) { EXPECT_EQ(Run("kd 1"), "ffff8504`29890e00  00000000`00000007\n"); }

TEST_F(StackCommands, BadLettersAreASyntaxError) {
  EXPECT_EQ(Run("kq"), "^ Syntax error in 'kq'\n");
  EXPECT_EQ(Run("k 0"), "^ Range error in 'k 0'\n");
}

TEST_F(StackCommands, FrameSelectsWhatLocalsAreShown) {
  EXPECT_EQ(Run("dv"),
            "      inner_sum = 0x7\n"
            "         device = 0xfffff806`56783040 _SAMPLE_DEVICE\n"
            "           code = 0x5\n"
            "    local_total = 0x5\n");
  EXPECT_EQ(Run(".frame 1"), "01 ffff8504`29890e28 fffff806`567810d4     sample!SampleStart+0x3d\n");
  EXPECT_EQ(session->frame_number(), 1u);
  EXPECT_THAT(Run("dv"), testing::Not(HasSubstr("inner_sum")));
  EXPECT_THAT(Run("kn 1"), HasSubstr("00 ffff8504`29890e00")) << "k counts from the innermost frame";
  EXPECT_THAT(Run(".f+"), HasSubstr("02 ffff8504`29890e68"));
  EXPECT_THAT(Run(".f+"), HasSubstr("Cannot find frame 0x3"));
  EXPECT_THAT(Run(".frame 0"), HasSubstr("00 ffff8504`29890e00"));
  EXPECT_FALSE(session->has_explicit_scope());
}

TEST_F(StackCommands, LocalsWithTypesAndPlaces) {
  EXPECT_EQ(Run("dv /t code"), "unsigned long code = 0x5\n");
  EXPECT_EQ(Run("dv /i /V code"), "prv param  ffff8504`29890e1c @rsp+0x001c  code = 0x5\n");
  EXPECT_EQ(Run("dv inner*"), "      inner_sum = 0x7\n");
}

TEST_F(StackCommands, LocalsOfOptimizedCodeInRegistersAndPieces) {
  const std::uint64_t measure = Symbol("inspected!Measure");
  RegisterSet at = registers;
  at.Set("rcx", 0x11);
  at.Set("rax", 0x22);
  // Each range is the compiler's business; somewhere both parts are in registers, and at the end one is gone.
  std::string pieces, part;
  for (std::uint64_t offset = 0; offset < 0x28; ++offset) {
    at.Set("rip", measure + offset);
    SetContext(at);
    const std::string text = Run("dv /V span");
    if (text.find("@rcx,@rax") != std::string::npos && pieces.empty()) {
      pieces = text;
      EXPECT_EQ(Run("dt span"),
                "Local var @ rcx,@rax Type struct _SPAN\n"
                "   +0x000 First            : 0n17\n"
                "   +0x008 Last             : 0n34\n");
    }
    if (!pieces.empty() && text.starts_with("@rcx ")) part = Run("dt span");
  }
  EXPECT_EQ(pieces, "@rcx,@rax         span = struct _SPAN\n");
  EXPECT_THAT(part, HasSubstr("First            : 0n17"));
  EXPECT_THAT(part, HasSubstr("Last             : ??"));
}

TEST_F(StackCommands, AFloatingPointLocalInAVectorRegister) {
  RegisterSet at = registers;
  std::array<std::byte, 16> value{};
  value[6] = std::byte{0xf8};
  value[7] = std::byte{0x3f};  // 1.5
  ASSERT_TRUE(at.SetVector("xmm0", value));
  at.Set("rip", Symbol("inspected!Scale"));
  SetContext(at);
  EXPECT_EQ(Run("dv /V factor"), "@xmm0             factor = 1.5\n");
}

TEST_F(StackCommands, ASetContextIsSaidAndReset) {
  RegisterSet other = registers;
  other.Set("rip", kSample + 0x1042);
  other.Set("rsp", kStack + 0x60);
  target.Map(kData + 0x100, other.context());
  EXPECT_THAT(Run(".cxr ffffe00e`0e4bc5a0"),
              HasSubstr("sample!SampleStart+0x42:\nfffff806`56781042 c3              ret\n"));
  EXPECT_EQ(Run("k 1"),
            "  *** Stack trace for last set context - .thread/.cxr resets it\n"
            "Child-SP          RetAddr               Call Site\n"
            "ffff8504`29890e60 fffff806`567810d4     sample!SampleStart+0x42\n");
  EXPECT_THAT(Run("r"), testing::StartsWith("Last set context:\n"));
  EXPECT_EQ(Run(".cxr"), "Resetting default scope\n");
  EXPECT_EQ(Run(".ecxr"), "Unable to get exception context, HRESULT 0x8000FFFF\n");
  EXPECT_THAT(Run(".cxr 10"), HasSubstr("Unable to get context record at 00000000`00000010"));
}

TEST_F(StackCommands, TrapFrame) {
  target.Put(kData + 0x100 + 0x168, kSample + 0x1042, 8);
  target.Put(kData + 0x100 + 0x180, kStack + 0x60, 8);
  const std::string text = Run(".trap ffffe00e`0e4bc5a0");
  EXPECT_THAT(text, testing::StartsWith("NOTE: The trap frame does not contain all registers.\n"
                                        "Some register values may be zeroed or incorrect.\nrax="));
  EXPECT_THAT(text, HasSubstr("rip=fffff80656781042 rsp=ffff850429890e60"));
}

}  // namespace
}  // namespace longwire
