#include "proto/kd/translation.h"

#include <gtest/gtest.h>

#include <map>

namespace longwire::kd {
namespace {

using Outcome = Translation::Outcome;

/// Page-table entries by physical address; anything else reads as zero unless `hole`.
class Tables {
 public:
  void Set(std::uint64_t address, std::uint64_t entry) { entries_[address] = entry; }
  void Remove(std::uint64_t address) { holes_[address] = true; }

  Translation::State Walk(PagingMode mode, std::uint64_t base, std::uint64_t address) {
    Translation walk(mode, base, address);
    reads = 0;
    while (walk.Next().outcome == Outcome::kRead && reads < 10) {
      ++reads;
      const auto state = walk.Next();
      Bytes bytes(8);
      const auto found = entries_.find(state.address);
      Store(std::span<std::byte>(bytes), 0, found == entries_.end() ? std::uint64_t{0} : found->second);
      bytes.resize(holes_.contains(state.address) ? 0 : state.length);
      walk.Supply(bytes);
    }
    resolved = walk.Resolved();
    return walk.Next();
  }

  int reads = 0;
  bool resolved = false;

 private:
  std::map<std::uint64_t, std::uint64_t> entries_;
  std::map<std::uint64_t, bool> holes_;
};

// FFFFF80000201234: indexes 1F0, 0, 1, 1.
constexpr std::uint64_t kAddress = 0xFFFFF80000201234;
constexpr std::uint64_t kCr3 = 0x1AA000 | 0x8000000000000002;

Tables FourLevel() {
  Tables tables;
  tables.Set(0x1AA000 + 0x1F0 * 8, 0x1000 | 0x63);
  tables.Set(0x1000, 0x2000 | 0x63);
  tables.Set(0x2000 + 8, 0x3000 | 0x63);
  tables.Set(0x3000 + 8, 0x8000'0000'0004'5000 | 0x121);
  return tables;
}

TEST(KdTranslation, FourLevels) {
  Tables tables = FourLevel();
  const auto state = tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress);
  EXPECT_EQ(state.outcome, Outcome::kPresent);
  EXPECT_EQ(state.address, 0x45234u);
  EXPECT_EQ(state.page_size, 0x1000u);
  EXPECT_EQ(tables.reads, 4);
  EXPECT_TRUE(tables.resolved);
}

TEST(KdTranslation, LargePages) {
  Tables tables = FourLevel();
  tables.Set(0x2000 + 8, 0x40200000 | 0xE3);
  auto state = tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress);
  EXPECT_EQ(state.address, 0x40201234u);
  EXPECT_EQ(state.page_size, 0x200000u);
  tables.Set(0x1000, 0x80000000 | 0xE3);
  state = tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress);
  EXPECT_EQ(state.address, 0x80201234u);
  EXPECT_EQ(state.page_size, 0x40000000u);
}

TEST(KdTranslation, LargePageBitAtTheTopIsIgnored) {
  Tables tables = FourLevel();
  tables.Set(0x1AA000 + 0x1F0 * 8, 0x1000 | 0xE3);
  EXPECT_EQ(tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress).address, 0x45234u);
}

TEST(KdTranslation, FiveLevels) {
  Tables tables = FourLevel();
  tables.Set(0x1AB000 + 0x1FF * 8, 0x1AA000 | 0x63);
  EXPECT_EQ(tables.Walk(PagingMode::kX64FiveLevel, 0x1AB000, kAddress).address, 0x45234u);
  EXPECT_EQ(tables.reads, 5);
}

TEST(KdTranslation, EntriesThatAreNotPresent) {
  Tables tables = FourLevel();
  tables.Set(0x3000 + 8, 0x45000 | 0x800);
  auto state = tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress);
  EXPECT_EQ(state.outcome, Outcome::kTransition);
  EXPECT_EQ(state.address, 0x45234u);
  EXPECT_TRUE(tables.resolved);
  tables.Set(0x3000 + 8, 0x45000 | 0xC00);
  EXPECT_EQ(tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress).outcome, Outcome::kPrototype);
  tables.Set(0x3000 + 8, 0x1234500000080);
  EXPECT_EQ(tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress).outcome, Outcome::kPagedOut);
  EXPECT_FALSE(tables.resolved);
  tables.Set(0x3000 + 8, 0);
  EXPECT_EQ(tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress).outcome, Outcome::kNotMapped);
  tables.Set(0x1000, 0);
  state = tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress);
  EXPECT_EQ(state.outcome, Outcome::kNotMapped);
  EXPECT_EQ(state.page_size, 0x40000000u) << "the whole gigabyte is a hole";
}

TEST(KdTranslation, UnreadableTable) {
  Tables tables = FourLevel();
  tables.Remove(0x2000 + 8);
  const auto state = tables.Walk(PagingMode::kX64FourLevel, kCr3, kAddress);
  EXPECT_EQ(state.outcome, Outcome::kUnreadable);
  EXPECT_EQ(state.address, 0x2008u);
}

TEST(KdTranslation, NotCanonical) {
  Tables tables;
  EXPECT_EQ(tables.Walk(PagingMode::kX64FourLevel, kCr3, 0x0000800000000000).outcome, Outcome::kNotCanonical);
  EXPECT_EQ(tables.reads, 0);
  EXPECT_EQ(tables.Walk(PagingMode::kX86Pae, kCr3, 0x100000000).outcome, Outcome::kNotCanonical);
  EXPECT_NE(tables.Walk(PagingMode::kX64FiveLevel, kCr3, 0x0000800000000000).outcome, Outcome::kNotCanonical);
}

TEST(KdTranslation, X86Pae) {
  Tables tables;  // 80402345: indexes 2, 2, 2
  tables.Set(0x39020 + 2 * 8, 0x1000 | 1);
  tables.Set(0x1000 + 2 * 8, 0x2000 | 0x63);
  tables.Set(0x2000 + 2 * 8, 0x1'0000'5000 | 0x63);
  EXPECT_EQ(tables.Walk(PagingMode::kX86Pae, 0x39020, 0xFFFFFFFF80402345).address, 0x100005345u);
  EXPECT_EQ(tables.Walk(PagingMode::kX86Pae, 0x39020, 0x80402345).address, 0x100005345u);
  EXPECT_EQ(tables.reads, 3);
  tables.Set(0x1000 + 2 * 8, 0x600000 | 0xE3);
  EXPECT_EQ(tables.Walk(PagingMode::kX86Pae, 0x39020, 0x80402345).address, 0x602345u);
}

TEST(KdTranslation, X86Plain) {
  Tables tables;  // 80402345: indexes 201, 2
  tables.Set(0x39000 + 0x201 * 4, 0x2000 | 0x63);
  tables.Set(0x2000 + 2 * 4, 0x5000 | 0x63);
  EXPECT_EQ(tables.Walk(PagingMode::kX86Plain, 0x39000, 0xFFFFFFFF80402345).address, 0x5345u);
  tables.Set(0x39000 + 0x201 * 4, 0x00C00000 | 0xE3);
  const auto state = tables.Walk(PagingMode::kX86Plain, 0x39000, 0x80402345);
  EXPECT_EQ(state.address, 0xC02345u);
  EXPECT_EQ(state.page_size, 0x400000u);
}

TEST(KdTranslation, Arm64) {
  Tables tables;
  tables.Set(0x1AA000 + 0x1F0 * 8, 0x1000 | 3);
  tables.Set(0x1000, 0x2000 | 3);
  tables.Set(0x2000 + 8, 0x3000 | 3);
  tables.Set(0x3000 + 8, 0x0060000000045000 | 0x703);
  const std::uint64_t ttbr = 0x1AA000 | 0x0001000000000000;
  EXPECT_EQ(tables.Walk(PagingMode::kArm64, ttbr, kAddress).address, 0x45234u);
  tables.Set(0x2000 + 8, 0x40200000 | 0x701);
  const auto block = tables.Walk(PagingMode::kArm64, ttbr, kAddress);
  EXPECT_EQ(block.address, 0x40201234u);
  EXPECT_EQ(block.page_size, 0x200000u);
  tables.Set(0x2000 + 8, 0x3000 | 3);
  tables.Set(0x3000 + 8, 0x45000 | 1);
  EXPECT_EQ(tables.Walk(PagingMode::kArm64, ttbr, kAddress).outcome, Outcome::kNotMapped) << "reserved entry";
}

}  // namespace
}  // namespace longwire::kd
