#include "tests/unit/client_commands_data/debugged_sample.h"

namespace longwire {
namespace {

using DisassemblyCommands = DebuggedSample;
using ::testing::EndsWith;
using ::testing::HasSubstr;

TEST_F(DisassemblyCommands, InstructionsUnderTheNameOfTheirPlace) {
  EXPECT_EQ(Run("u sample!SampleEntry+2f L2"),
            "sample!SampleEntry+0x2f:\n"
            "fffff806`567810cf e82cffffff      call    sample!SampleStart (fffff806`56781000)\n"
            "fffff806`567810d4 90              nop\n");
  EXPECT_EQ(Run("u L2"),
            "sample!SampleEntry+0x35:\n"
            "fffff806`567810d5 4883c438        add     rsp,38h\n"
            "fffff806`567810d9 c3              ret\n");
}

TEST_F(DisassemblyCommands, ASymbolBeginsANewHeading) {
  EXPECT_EQ(Run("u sample!SampleStart+3e sample!SampleStart+42"),
            "sample!SampleStart+0x3e:\n"
            "fffff806`5678103e 4883c438        add     rsp,38h\n"
            "fffff806`56781042 c3              ret\n");
  EXPECT_THAT(Run("u sample!SampleStart+43 L3"),
              HasSubstr("\nsample!SampleHandler:\nfffff806`56781050 4883ec20        sub     rsp,20h\n"));
}

TEST_F(DisassemblyCommands, CallsOfAFunction) {
  EXPECT_THAT(Run("uf /c sample!SampleEntry"),
              HasSubstr("  sample!SampleEntry+0x2f (fffff806`567810cf):\n"
                        "    call to sample!SampleStart (fffff806`56781000)\n"));
}

TEST_F(DisassemblyCommands, BackwardsInStepWithTheFunction) {
  EXPECT_EQ(Run("ub sample!SampleEntry+34 L2"),
            "sample!SampleEntry+0x28:\n"
            "fffff806`567810c8 488d0d711f0000  lea     rcx,[sample!SampleDevice (fffff806`56783040)]\n"
            "fffff806`567810cf e82cffffff      call    sample!SampleStart (fffff806`56781000)\n");
}

TEST_F(DisassemblyCommands, WholeFunction) {
  const std::string text = Run("uf sample!SampleStart+10");
  EXPECT_THAT(
      text, testing::StartsWith("sample!SampleStart:\nfffff806`56781000 4883ec38        sub     rsp,38h\n"));
  EXPECT_THAT(text, EndsWith("fffff806`56781042 c3              ret\n"));
}

TEST_F(DisassemblyCommands, UnreadableMemoryIsAnError) {
  EXPECT_EQ(Run("u 0"), "^ Memory access error in 'u 0'\n");
}

TEST_F(DisassemblyCommands, RowsNameBranchTargets) {
  const Report report = Reported("u sample!SampleEntry+2f L1");
  ASSERT_EQ(report.rows().size(), 1u);
  EXPECT_EQ(report.rows()[0].fields.back().name, "target");
  EXPECT_EQ(std::get<Hex>(report.rows()[0].fields.back().value).value, kSample + 0x1000);
}

}  // namespace
}  // namespace longwire
