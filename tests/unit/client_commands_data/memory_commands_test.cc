#include "client/commands/memory_write.h"
#include "tests/unit/client_commands_data/debugged_sample.h"

namespace longwire {
namespace {

using MemoryCommands = DebuggedSample;
using ::testing::HasSubstr;

TEST_F(MemoryCommands, BytesShowTextAndWhatIsUnreadable) {
  EXPECT_EQ(Run("db ffffe00e`0e4bcff0 L20"),
            "ffffe00e`0e4bcff0  00 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00  ................\n"
            "ffffe00e`0e4bd000  ?? ?? ?? ?? ?? ?? ?? ?"
            "?-?? ?? ?? ?? ?? ?? ?? ??  ????????????????\n");
  EXPECT_EQ(Run("db ffffe00e`0e4bc4a0 L10"),
            "ffffe00e`0e4bc4a0  48 65 6c 6c 6f 20 57 6f-72 6c 64 00 00 00 00 00  Hello World.....\n");
}

TEST_F(MemoryCommands, AShortLastLineKeepsTheTextColumn) {
  EXPECT_EQ(Run("db ffffe00e`0e4bc4a0 L3"),
            "ffffe00e`0e4bc4a0  48 65 6c                                         Hel\n");
}

TEST_F(MemoryCommands, WordsOfEachSize) {
  EXPECT_EQ(Run("dd ffffe00e`0e4bc4a0 L4"), "ffffe00e`0e4bc4a0  6c6c6548 6f57206f 00646c72 00000000\n");
  EXPECT_EQ(Run("dq ffffe00e`0e4bc4a0 L2"), "ffffe00e`0e4bc4a0  6f57206f`6c6c6548 00000000`00646c72\n");
  EXPECT_EQ(Run("dp ffffe00e`0e4bc4a0 L1"), "ffffe00e`0e4bc4a0  6f57206f`6c6c6548\n");
  EXPECT_EQ(Run("dw ffffe00e`0e4bc4a0 L3"), "ffffe00e`0e4bc4a0  6548 6c6c 206f\n");
  EXPECT_EQ(Run("dc ffffe00e`0e4bc4a0 L4"),
            "ffffe00e`0e4bc4a0  6c6c6548 6f57206f 00646c72 00000000  Hello World.....\n");
  EXPECT_EQ(Run("dd /c2 ffffe00e`0e4bc4a0 L4"),
            "ffffe00e`0e4bc4a0  6c6c6548 6f57206f\nffffe00e`0e4bc4a8  00646c72 00000000\n");
}

TEST_F(MemoryCommands, FormsDifferInCaseOnly) {
  target.Put(kData + 0x40, 0x3ff8000000000000, 8);
  EXPECT_EQ(Run("dD ffffe00e`0e4bc4e0 L1"), "ffffe00e`0e4bc4e0                     1.5\n");
  EXPECT_EQ(Run("dW ffffe00e`0e4bc4a0 L2"),
            "ffffe00e`0e4bc4a0  6548 6c6c                                Hell\n");
}

TEST_F(MemoryCommands, BitsComeWithARule) {
  EXPECT_EQ(Run("dyb ffffe00e`0e4bc4a0 L2"),
            "                   76543210 76543210 76543210 76543210\n"
            "                   -------- -------- -------- --------\n"
            "ffffe00e`0e4bc4a0  01001000 01100101  48 65\n");
}

TEST_F(MemoryCommands, TextEndsAtItsZero) {
  EXPECT_EQ(Run("da ffffe00e`0e4bc4a0"), "ffffe00e`0e4bc4a0  \"Hello World\"\n");
  EXPECT_EQ(Run("du ffffc08b`de9e2000"), "ffffc08b`de9e2000  \"\\Device\\mydrv0\"\n");
  EXPECT_EQ(Run("dS ffffc08b`de9e1668"), "ffffc08b`de9e2000  \"\\Device\\mydrv0\"\n");
}

TEST_F(MemoryCommands, GoesOnWhereTheLastOneEnded) {
  Run("dd ffffe00e`0e4bc4a0 L2");
  EXPECT_EQ(Run("d L1"), "ffffe00e`0e4bc4a8  00646c72\n");
  EXPECT_EQ(session->last_data_value, 0x646c72u);
}

TEST_F(MemoryCommands, PointersAreNamed) {
  EXPECT_EQ(
      Run("dps ffff8504`29890e20 L2"),
      "ffff8504`29890e20  fffff806`5678103d sample!SampleStart+0x3d\nffff8504`29890e28  00000000`0000007e\n");
  EXPECT_EQ(Run("dpp ffff8504`29890e10 L1"), "ffff8504`29890e10  fffff806`56783040 00000000`00000000\n");
  target.Put(kData + 0x20, kData, 8);
  EXPECT_EQ(Run("dpa ffffe00e`0e4bc4c0 L1"), "ffffe00e`0e4bc4c0  ffffe00e`0e4bc4a0 \"Hello World\"\n");
}

TEST_F(MemoryCommands, FollowsAListOnce) {
  const std::string text = Run("dl ffffc08b`de9e1648 10 2");
  EXPECT_EQ(text, "ffffc08b`de9e1648  ffffc08b`de9e1648 ffffc08b`de9e1648\n");
}

TEST_F(MemoryCommands, WritesNumbersCharactersAndText) {
  EXPECT_EQ(Run("eb ffffe00e`0e4bc4a0 4a 'o' \"hn\" 0"), "");
  EXPECT_EQ(Run("da ffffe00e`0e4bc4a0"), "ffffe00e`0e4bc4a0  \"John\"\n");
  Run("ed ffffe00e`0e4bc4a0 1 2");
  EXPECT_EQ(Run("dd ffffe00e`0e4bc4a0 L2"), "ffffe00e`0e4bc4a0  00000001 00000002\n");
  Run("ezu ffffe00e`0e4bc4a0 \"ab\"");
  EXPECT_EQ(Run("du ffffe00e`0e4bc4a0"), "ffffe00e`0e4bc4a0  \"ab\"\n");
  EXPECT_EQ(Run("eb ffffe00e`0e4bc4a0 100"), "^ Overflow error in 'eb ffffe00e`0e4bc4a0 100'\n");
  EXPECT_EQ(Run("eb 0 1"), "Memory access error in 'eb 0 1'\n");
}

TEST_F(MemoryCommands, FillsMovesAndCompares) {
  EXPECT_EQ(Run("f ffffe00e`0e4bc4a0 L8 1 2 3"), "Filled 0x8 bytes\n");
  EXPECT_EQ(Run("db ffffe00e`0e4bc4a0 L8"),
            "ffffe00e`0e4bc4a0  01 02 03 01 02 03 01 02                          ........\n");
  EXPECT_EQ(Run("m ffffe00e`0e4bc4a0 L4 ffffe00e`0e4bc4a2"), "");
  EXPECT_EQ(Run("c ffffe00e`0e4bc4a0 L2 ffffe00e`0e4bc4a2"), "");
  EXPECT_EQ(Run("c ffffe00e`0e4bc4a2 L3 ffffe00e`0e4bc4a4"),
            "ffffe00e`0e4bc4a2  01 - ffffe00e`0e4bc4a4  03\nffffe00e`0e4bc4a3  02 - ffffe00e`0e4bc4a5  01\n"
            "ffffe00e`0e4bc4a4  03 - ffffe00e`0e4bc4a6  01\n");
}

TEST_F(MemoryCommands, FindsStringsInMemory) {
  EXPECT_EQ(Run("s -sa ffffe00e`0e4bc490 L40"), "ffffe00e`0e4bc4a0  \"Hello World\"\n");
}

/// What a plan finds in `memory` at address 1000.
std::vector<std::uint64_t> Found(const plan::Plan& search, const std::string& memory) {
  EXPECT_TRUE(plan::Validate(search));
  plan::Interpreter interpreter(search);
  while (true) {
    const plan::Interpreter::Action action = interpreter.Next();
    if (action.kind != plan::Interpreter::Action::Kind::kSearch) break;
    const std::string_view range = std::string_view(memory).substr(action.address - 0x1000, action.length);
    const std::string_view pattern(reinterpret_cast<const char*>(action.pattern.data()),
                                   action.pattern.size());
    const std::size_t at = range.find(pattern);
    interpreter.SupplySearch(at != std::string_view::npos, action.address + at);
  }
  std::vector<std::uint64_t> addresses;
  for (const plan::Record& record : interpreter.TakeOutput().records) addresses.push_back(record.value);
  return addresses;
}

TEST(SearchPlan, FindsEveryPlaceOverlappingOnesToo) {
  const std::vector<std::byte> pattern = {std::byte{'a'}, std::byte{'a'}};
  EXPECT_THAT(Found(MakeSearchPlan(AddressSpace::Virtual(), 0x1000, 8, pattern), "xaaa..aa"),
              testing::ElementsAre(0x1001, 0x1002, 0x1006));
  EXPECT_THAT(Found(MakeSearchPlan(AddressSpace::Virtual(), 0x1000, 7, pattern), "xaaa..aa"),
              testing::ElementsAre(0x1001, 0x1002));
  EXPECT_THAT(Found(MakeSearchPlan(AddressSpace::Virtual(), 0x1000, 4, pattern), "...."), testing::IsEmpty());
}

TEST_F(MemoryCommands, SearchChecksItsArguments) {
  EXPECT_EQ(Run("s -d ffffe00e`0e4bc4a0 L10 12345678"), "");
  EXPECT_THAT(Run("s -z 0 L10 1"), HasSubstr("^ Syntax error in 's -z 0 L10 1'"));
  EXPECT_THAT(Run("s -[r]b 0 L10 1"), HasSubstr("is not supported"));
  EXPECT_THAT(Run("s ffffe00e`0e4bc4a0"), HasSubstr("^ Range error in"));
}

TEST_F(MemoryCommands, RefusesBadRanges) {
  EXPECT_THAT(Run("dd ffffe00e`0e4bc4a0 L10000001"), HasSubstr("^ Range error in"));
  EXPECT_THAT(Run("db nosuchname"), HasSubstr("Couldn't resolve error at 'nosuchname'"));
}

TEST_F(MemoryCommands, AReadableRangeCostsOneRoundTrip) {
  EXPECT_EQ(RoundTrips("dd ffffe00e`0e4bc4a0 L100"), 1u);
}

TEST_F(MemoryCommands, AnInterruptEndsALongDisplay) {
  interrupt.Raise();
  EXPECT_EQ(Run("dd ffffe00e`0e4bc4a0 L4"), "cancelled by the user\n");
}

}  // namespace
}  // namespace longwire
