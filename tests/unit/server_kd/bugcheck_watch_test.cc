#include "server/kd/bugcheck_watch.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

TEST(BugcheckWatch, FindsCodeAndParametersInPieces) {
  BugcheckWatch watch;
  watch.OnPrint("\n*** Fatal System ");
  EXPECT_FALSE(watch.found());
  watch.OnPrint("Error: 0x0000001e\n");
  watch.OnPrint("  (0xC0000005,0xFFFFF800`00001234, 0x0 ,0x10)\n");
  ASSERT_TRUE(watch.found());
  EXPECT_EQ(watch.found()->code, 0x1Eu);
  EXPECT_EQ(watch.found()->parameters,
            (std::array<std::uint64_t, 4>{0xC0000005, 0xFFFFF80000001234, 0, 0x10}));
}

TEST(BugcheckWatch, OtherTextIsNothing) {
  BugcheckWatch watch;
  watch.OnPrint("*** Fatal System Error: none\n");
  watch.OnPrint(std::string(5000, 'x'));
  EXPECT_FALSE(watch.found());
}

TEST(BugcheckWatch, ClearForgets) {
  BugcheckWatch watch;
  watch.OnPrint("*** Fatal System Error: 0x000000e2\n(0x1,0x2,0x3,0x4)");
  ASSERT_TRUE(watch.found());
  watch.Clear();
  EXPECT_FALSE(watch.found());
}

}  // namespace
}  // namespace longwire
