#include "client/target/stop_memory.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

std::vector<std::byte> Bytes(std::size_t size, int value) { return {size, static_cast<std::byte>(value)}; }

TEST(StopMemory, AsksForWholeChunksAndMergesNeighbours) {
  StopMemory cache;
  auto missing = cache.Missing(AddressSpace::Virtual(), 0x10F8, 0x210);
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing[0].address, 0x1000u);
  EXPECT_EQ(missing[0].size, 0x400u);
}

TEST(StopMemory, AsksOnlyForWhatIsNotKnown) {
  StopMemory cache;
  cache.Insert(AddressSpace::Virtual(), 0x1200, Bytes(0x200, 1));
  auto missing = cache.Missing(AddressSpace::Virtual(), 0x1000, 0x600);
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].address, 0x1000u);
  EXPECT_EQ(missing[0].size, 0x200u);
  EXPECT_EQ(missing[1].address, 0x1400u);
}

TEST(StopMemory, StopsAtWhatIsKnownToBeUnreadable) {
  StopMemory cache;
  cache.Insert(AddressSpace::Virtual(), 0x1000, Bytes(0x100, 1));
  cache.MarkUnreadable(AddressSpace::Virtual(), 0x1100);
  EXPECT_TRUE(cache.Missing(AddressSpace::Virtual(), 0x1000, 0x3000).empty());
  EXPECT_TRUE(cache.KnownUnreadable(AddressSpace::Virtual(), 0x1FFF));
  EXPECT_FALSE(cache.KnownUnreadable(AddressSpace::Virtual(), 0x2000));
  EXPECT_FALSE(cache.KnownUnreadable(AddressSpace::Virtual(), 0x10FF));
}

TEST(StopMemory, ReadsAcrossPages) {
  StopMemory cache;
  cache.Insert(AddressSpace::Virtual(), 0x1F00, Bytes(0x200, 5));
  std::vector<std::byte> out(0x180);
  EXPECT_EQ(cache.ReadKnown(AddressSpace::Virtual(), 0x1F80, out), 0x180u);
  EXPECT_EQ(out.back(), std::byte{5});
  EXPECT_EQ(cache.ReadKnown(AddressSpace::Virtual(), 0x2080, out), 0x80u);
}

TEST(StopMemory, KeepsAddressSpacesApart) {
  StopMemory cache;
  cache.Insert(AddressSpace::PageTable(0x1000), 0x5000, Bytes(16, 1));
  std::vector<std::byte> out(16);
  EXPECT_EQ(cache.ReadKnown(AddressSpace::PageTable(0x2000), 0x5000, out), 0u);
  EXPECT_EQ(cache.ReadKnown(AddressSpace::Virtual(), 0x5000, out), 0u);
  EXPECT_EQ(cache.ReadKnown(AddressSpace::PageTable(0x1000), 0x5000, out), 16u);
}

TEST(StopMemory, NeverKeepsPhysicalMemory) {
  StopMemory cache;
  cache.Insert(AddressSpace::Physical(), 0x5000, Bytes(16, 1));
  EXPECT_EQ(cache.pages(), 0u);
}

TEST(StopMemory, EndOfTheAddressSpaceIsNoEndlessLoop) {
  StopMemory cache;
  auto missing = cache.Missing(AddressSpace::Virtual(), ~std::uint64_t{0} - 7, 64);
  ASSERT_FALSE(missing.empty());
  EXPECT_GE(missing[0].address, ~std::uint64_t{0} - 511);
}

}  // namespace
}  // namespace longwire
