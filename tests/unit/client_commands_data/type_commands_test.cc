#include "tests/unit/client_commands_data/debugged_sample.h"

namespace longwire {
namespace {

using TypeCommands = DebuggedSample;
using ::testing::HasSubstr;

TEST_F(TypeCommands, AStructureInMemory) {
  EXPECT_EQ(Run("dt inspected!_CONTEXT_EXT ffffc08b`de9e1640"),
            "   +0x000 Type             : 0n3\n"
            "   +0x002 Size             : 0x600\n"
            "   +0x008 List             : _LIST_ENTRY [ 0xffffc08b`de9e1648 - 0xffffc08b`de9e1648 ]\n"
            "   +0x018 Owner            : 0xffffc08b`dce94180 _OWNER\n"
            "   +0x020 Next             : (null) \n"
            "   +0x028 Name             : _UNICODE_STRING \"\\Device\\mydrv0\"\n"
            "   +0x038 Flags            : 0y0101\n"
            "   +0x038 Busy             : 0y1\n"
            "   +0x038 Rest             : 0y000000000000000000000000000 (0)\n"
            "   +0x03c State            : 2 ( ExtStarted )\n"
            "   +0x040 Slots            : [4] 0x11\n"
            "   +0x050 Tag              : 0x61 'a'\n"
            "   +0x051 Text             : [8]  \"System\"\n"
            "   +0x060 Label            : 0xffffc08b`de9e2100  \"label\"\n"
            "   +0x068 Handler          : (null) \n"
            "   +0x070 Ratio            : 1.5\n");
}

TEST_F(TypeCommands, ATypeAlone) {
  EXPECT_EQ(Run("dt inspected!_CONTEXT_EXT Type Owner Flags Busy Slots Handler State"),
            "   +0x000 Type             : Int2B\n"
            "   +0x018 Owner            : Ptr64 _OWNER\n"
            "   +0x038 Flags            : Pos 0, 4 Bits\n"
            "   +0x038 Busy             : Pos 4, 1 Bit\n"
            "   +0x03c State            : _EXT_STATE\n"
            "   +0x040 Slots            : [4] Uint4B\n"
            "   +0x068 Handler          : Ptr64     long \n");
}

TEST_F(TypeCommands, UnreadableFieldsAndUnknownEnumerators) {
  const std::uint64_t edge = 0xffffe00e0e4bd000 - 0x40;
  target.Put(edge + 0x3c, 77, 4);
  const std::string text = Run("dt inspected!_CONTEXT_EXT ffffe00e`0e4bcfc0");
  EXPECT_THAT(text, HasSubstr("State            : 77 (No matching name)\n"));
  EXPECT_THAT(text, HasSubstr("Tag              : ????\n"));
}

TEST_F(TypeCommands, NestedLevelsIndent) {
  EXPECT_EQ(Run("dt -r1 inspected!_CONTEXT_EXT Name ffffc08b`de9e1640"),
            "   +0x028 Name             : _UNICODE_STRING \"\\Device\\mydrv0\"\n"
            "      +0x000 Length           : 0x1c\n"
            "      +0x002 MaximumLength    : 0x1c\n"
            "      +0x008 Buffer           : 0xffffc08b`de9e2000 Uint2B\n");
  EXPECT_EQ(Run("dt inspected!_CONTEXT_EXT List.Flink ffffc08b`de9e1640"),
            "   +0x008 List             : _LIST_ENTRY [ 0xffffc08b`de9e1648 - 0xffffc08b`de9e1648 ]\n"
            "      +0x000 Flink            : 0xffffc08b`de9e1648 _LIST_ENTRY\n");
}

TEST_F(TypeCommands, APointerIsFollowedWhenAsked) {
  target.Put(0xffffc08bdce94180, 0x77, 4);
  EXPECT_EQ(Run("dt inspected!_CONTEXT_EXT Owner. ffffc08b`de9e1640"),
            "   +0x018 Owner            : 0xffffc08b`dce94180 _OWNER\n"
            "      +0x000 Id               : 0x77\n");
  EXPECT_EQ(Run("dt -b inspected!_CONTEXT_EXT Owner ffffc08b`de9e1640"),
            "   +0x018 Owner            : 0xffffc08b`dce94180 _OWNER\n");
}

TEST_F(TypeCommands, Options) {
  EXPECT_THAT(Run("dt -v inspected!_LIST_ENTRY"),
              testing::StartsWith("struct _LIST_ENTRY, 2 elements, 0x10 bytes\n"));
  EXPECT_EQ(Run("dt -y Sl inspected!_CONTEXT_EXT"), "   +0x040 Slots            : [4] Uint4B\n");
  EXPECT_EQ(Run("dt -a2 inspected!_CONTEXT_EXT Slots ffffc08b`de9e1640"),
            "   +0x040 Slots            : [4] 0x11\n       [00] 0x11\n       [01] 0\n");
  EXPECT_EQ(Run("dt -o inspected!_OWNER"), "   Id               : Uint4B\n");
  EXPECT_EQ(Run("dt inspected!_EXT_STATE"), "   ExtStopped = 0n0\n   ExtStarted = 0n2\n");
}

TEST_F(TypeCommands, VariablesAndLists) {
  target.Put(Symbol("inspected!Count"), 0x33, 4);
  EXPECT_EQ(Run("dt inspected!Count"), "0x33\n");
  EXPECT_THAT(Run("dt inspected!Extension Size"), HasSubstr("+0x002 Size             : 0"));
  EXPECT_THAT(Run("dt inspected!_CONTEXT_*"), testing::StartsWith("          inspected!_CONTEXT_EXT\n"));
  EXPECT_THAT(Run("dt inspected!Cou*"), HasSubstr("  inspected!Count\n"));
  EXPECT_THAT(Run("dt device Size"),
              testing::StartsWith("Local var @ 0xffff8504`29890e10 Type struct _SAMPLE_DEVICE *\n"));
}

TEST_F(TypeCommands, WalksAList) {
  const std::uint64_t second = kObject + 0x800;
  target.Put(kObject + 8, second + 8, 8);
  target.Put(second + 8, kObject + 8, 8);
  target.Put(second + 2, 0x700, 2);
  const std::string text = Run("dt inspected!_CONTEXT_EXT -l List.Flink Size ffffc08b`de9e1640");
  EXPECT_THAT(text, HasSubstr("List.Flink at 0xffffc08b`de9e1640\n"));
  EXPECT_THAT(text,
              HasSubstr("List.Flink at 0xffffc08b`de9e1e40\n---------------------------------------------\n"
                        "   +0x002 Size             : 0x700\n"));
}

TEST_F(TypeCommands, Errors) {
  EXPECT_EQ(Run("dt inspected!_NOTHING"), "Symbol inspected!_NOTHING not found.\n");
  EXPECT_EQ(Run("dt inspected!_OWNER Nope"), "Field(s) Nope not found\n");
  EXPECT_THAT(Run("dt"), HasSubstr("^ Syntax error in 'dt'"));
}

TEST_F(TypeCommands, TheStructureIsReadOnce) {
  Run("dt inspected!_OWNER");
  EXPECT_EQ(RoundTrips("dt inspected!_OWNER ffffe00e`0e4bc4a0"), 1u);
}

TEST_F(TypeCommands, TextsComeAlongWhereTheLayoutIsKnown) {
  Run("dt inspected!_OWNER");
  // What lies between a counted string's lengths and its pointer means nothing.
  target.Put(kObject + 0x2c, 0x12345678, 4);
  EXPECT_EQ(RoundTrips("dt inspected!_CONTEXT_EXT ffffc08b`de9e1640"), 1u);
  EXPECT_EQ(RoundTrips("dt inspected!_CONTEXT_EXT ffffc08b`de9e1640"), 0u);
  const std::string text = Run("dt inspected!_CONTEXT_EXT Name Label ffffc08b`de9e1640");
  EXPECT_THAT(text, HasSubstr("_UNICODE_STRING \"\\Device\\mydrv0\"\n"));
  EXPECT_THAT(text, HasSubstr("\"label\"\n"));
}

TEST_F(TypeCommands, RowsHoldPathsOffsetsAndValues) {
  const Report report = Reported("dt inspected!_CONTEXT_EXT List.Flink ffffc08b`de9e1640");
  ASSERT_EQ(report.rows().size(), 3u);
  EXPECT_EQ(report.rows()[0].kind, "type");
  EXPECT_EQ(std::get<std::string>(report.rows()[2].fields[0].value), "List.Flink");
}

}  // namespace
}  // namespace longwire
