#include "server/target/breakpoint_table.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

TEST(BreakpointTable, FifthDataBreakpointIsRefused) {
  BreakpointTable table;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(table.AddData(rpc::BreakpointKind::kWrite, 0x1000 + 8 * i, 8));
  const auto fifth = table.AddData(rpc::BreakpointKind::kWrite, 0x2000, 8);
  ASSERT_FALSE(fifth);
  EXPECT_EQ(fifth.error().code, Errc::kLimitExceeded);
}

TEST(BreakpointTable, MisalignedDataBreakpointIsRefused) {
  BreakpointTable table;
  EXPECT_FALSE(table.AddData(rpc::BreakpointKind::kWrite, 0x1002, 4));
  EXPECT_FALSE(table.AddData(rpc::BreakpointKind::kWrite, 0x1000, 3));
}

TEST(BreakpointTable, Dr7KeepsForeignBitsAndClearsOwnOnes) {
  BreakpointTable table;
  const auto id = table.AddData(rpc::BreakpointKind::kReadWrite, 0x1000, 4);
  ASSERT_TRUE(id);
  const std::uint64_t on = table.Dr7(0x400 | 0x2000);
  EXPECT_EQ(on & 0x2000, 0x2000u);
  EXPECT_EQ(on >> 16 & 15, 0xFu);
  table.RemoveData(*id);
  EXPECT_EQ(table.Dr7(on) & 0xF0003, 0u);
}

TEST(BreakpointTable, ReportedStreamTakesBreakpointsOut) {
  BreakpointTable table;
  for (const std::uint64_t address : {0x1000, 0x100F, 0x1010}) table.Code(address).handle = 1;
  table.OnReported(0x1000, 16);
  EXPECT_EQ(table.FindCode(0x1000)->handle, 0u);
  EXPECT_EQ(table.FindCode(0x100F)->handle, 0u);
  EXPECT_EQ(table.FindCode(0x1010)->handle, 1u);
}

TEST(BreakpointTable, HidesWideInstructionsAcrossTheEdgeOfARead) {
  BreakpointTable table;
  CodeBreakpoint& point = table.Code(0x0FFE);
  point.handle = 3;
  point.original = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  std::vector<std::byte> bytes(4, std::byte{0xEE});
  table.Hide(0x1000, bytes);
  EXPECT_EQ(bytes, (std::vector<std::byte>{std::byte{3}, std::byte{4}, std::byte{0xEE}, std::byte{0xEE}}));
}

}  // namespace
}  // namespace longwire
