#include "tests/unit/client_commands_data/debugged_sample.h"

namespace longwire {
namespace {

using ExpressionCommands = DebuggedSample;
using ::testing::HasSubstr;

TEST_F(ExpressionCommands, ShowsDecimalAndHexadecimal) {
  EXPECT_EQ(Run("? 409"), "Evaluate expression: 1033 = 00000000`00000409\n");
  EXPECT_EQ(Run("? -1"), "Evaluate expression: -1 = ffffffff`ffffffff\n");
  EXPECT_EQ(Run("? sample!SampleStart + 2"), "Evaluate expression: -8768872509438 = fffff806`56781002\n");
  EXPECT_EQ(session->last_expression, kSample + 0x1002);
  EXPECT_THAT(Run("? 1 2"), HasSubstr("^ Extra character error in '2'"));
  EXPECT_THAT(Run("? 1/0"), HasSubstr("Divide by zero error"));
}

TEST_F(ExpressionCommands, FormatsOfAValue) {
  EXPECT_EQ(Run(".formats 1c407e62"),
            "Evaluate expression:\n"
            "  Hex:     00000000`1c407e62\n"
            "  Decimal: 473988706\n"
            "  Decimal (unsigned) : 473988706\n"
            "  Octal:   0000000000003420077142\n"
            "  Binary:  00000000 00000000 00000000 00000000 00011100 01000000 01111110 01100010\n"
            "  Chars:   .....@~b\n"
            "  Time:    Mon Jan  7 23:31:46 1985\n"
            "  Float:   low 6.36908e-022 high 0\n"
            "  Double:  2.34182e-315\n");
}

TEST_F(ExpressionCommands, RadixIsDecimalText) {
  EXPECT_EQ(Run("n"), "base is 16\n");
  EXPECT_EQ(Run("n 10"), "base is 10\n");
  EXPECT_EQ(Run("? 10"), "Evaluate expression: 10 = 00000000`0000000a\n");
  EXPECT_THAT(Run("n 7"), HasSubstr("^ Syntax error in 'n 7'"));
}

TEST_F(ExpressionCommands, PrintfConversions) {
  EXPECT_EQ(Run(".printf \"%d %x %X|%5u|%-4d|%04x\\n\", 0n10, ff, ab, 0n7, 3, 1f"),
            "10 ff AB|    7|3   |001f\n");
  EXPECT_EQ(Run(".printf \"%p %I64x %c%%\\n\", sample, 1`00000002, 41"), "fffff806`56780000 100000002 A%\n");
  EXPECT_EQ(Run(".printf \"%y\\t%ma %msu\\n\", sample!SampleStart+4, ffffe00e`0e4bc4a0, ffffc08b`de9e1668"),
            "sample!SampleStart+0x4\tHello World \\Device\\mydrv0\n");
  EXPECT_EQ(Run(".printf /D \"<b>%d</b>&lt;\", 5"), "5<");
  EXPECT_THAT(Run(".printf \"[%ma]\", 10"), HasSubstr("[]Memory access error at"));
  EXPECT_THAT(Run(".printf \"%q\", 10"), HasSubstr("^ Syntax error in"));
  EXPECT_THAT(Run(".printf \"%d\""), HasSubstr("Numeric expression missing"));
}

TEST_F(ExpressionCommands, TypedValues) {
  target.Put(Symbol("inspected!Count"), 9, 4);
  EXPECT_EQ(Run("?? inspected!Count"), "unsigned long 0x9\n");
  EXPECT_EQ(Run("?? *(inspected!_OWNER*)0xffffe00e0e4bc4a0"),
            "struct _OWNER 0xffffe00e`0e4bc4a0\n   +0x000 Id               : 0x6c6c6548\n");
  EXPECT_EQ(Run("?? sizeof(inspected!_OWNER)"), "unsigned int64 0x4\n");
  EXPECT_EQ(Run("?? 10"), "int 0n10\n");
  Run("r $t0 = 20");
  EXPECT_EQ(Run("?? @$t0"), "unsigned int64 0x20\n");
  EXPECT_EQ(Run("?? local_total"), "unsigned long 0x5\n");
  EXPECT_THAT(Run("?? 1 + inspected!Count"), HasSubstr("is not supported"));
}

}  // namespace
}  // namespace longwire
