#include "client/symbols/byte_cursor.h"

#include <gtest/gtest.h>

#include <array>

namespace longwire {
namespace {

TEST(ByteCursor, ReadsLittleEndianAndStopsAtTheEnd) {
  const std::array<std::uint8_t, 8> bytes = {1, 2, 3, 4, 'a', 'b', 0, 9};
  ByteCursor cursor(bytes);
  EXPECT_EQ(cursor.U32(), 0x04030201u);
  EXPECT_EQ(cursor.CString(), "ab");
  EXPECT_TRUE(cursor.ok());
  EXPECT_EQ(cursor.U16(), 0u);
  EXPECT_FALSE(cursor.ok());
  EXPECT_EQ(cursor.U8(), 0u) << "nothing is readable after a failure";
}

TEST(ByteCursor, TextWithoutEndIsAFailure) {
  const std::array<std::uint8_t, 2> bytes = {'a', 'b'};
  ByteCursor cursor(bytes);
  EXPECT_EQ(cursor.CString(), "");
  EXPECT_FALSE(cursor.ok());
}

TEST(ByteCursor, HugeSkipDoesNotWrap) {
  const std::array<std::uint8_t, 4> bytes = {};
  ByteCursor cursor(bytes);
  cursor.Skip(1);
  cursor.Skip(static_cast<std::size_t>(-1));
  EXPECT_FALSE(cursor.ok());
  EXPECT_EQ(cursor.remaining(), 0u);
}

}  // namespace
}  // namespace longwire
