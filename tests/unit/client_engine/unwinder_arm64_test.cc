#include "client/engine/unwinder_arm64.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace longwire {
namespace {

using Kind = Arm64Operation::Kind;

constexpr std::uint64_t kBase = 0xFFFFF80000000000, kStack = 0xFFFFE00000000000;
constexpr std::uint32_t kPdata = 0x100, kXdata = 0x200, kFirst = 0x1000, kSecond = 0x2000, kLeaf = 0x3000;

std::vector<std::byte> Bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

/// An image with a table of functions, and a stack.
class Arm64Machine : public testing::Test {
 protected:
  Arm64Machine()
      : image_(0x4000), stack_(0x400), registers_(Architecture::kArm64, std::vector<std::byte>(0x390)) {
    source_.find_module = [](std::uint64_t address) -> std::optional<UnwindModule> {
      if (address - kBase < 0x4000) return UnwindModule{kBase, 0x4000};
      return std::nullopt;
    };
    source_.read_image = [this](std::uint64_t, std::uint32_t rva, std::span<std::byte> out) {
      return Copy(image_, rva, out);
    };
    source_.read_memory = [this](std::uint64_t address, std::span<std::byte> out) {
      return Copy(stack_, address - kStack, out);
    };
    source_.exception_directory = [this](std::uint64_t) {
      return std::optional(std::pair(kPdata, entries_ * 8));
    };
    registers_.Set("sp", kStack);
  }

  static std::size_t Copy(const std::vector<std::byte>& from, std::uint64_t at, std::span<std::byte> out) {
    if (at >= from.size()) return 0;
    const std::size_t size = std::min<std::size_t>(out.size(), from.size() - at);
    std::memcpy(out.data(), from.data() + at, size);
    return size;
  }
  void Image32(std::uint32_t rva, std::uint32_t value) { std::memcpy(image_.data() + rva, &value, 4); }
  void Entry(std::uint32_t begin, std::uint32_t word) {
    Image32(kPdata + entries_ * 8, begin);
    Image32(kPdata + entries_++ * 8 + 4, word);
  }
  void Stack(std::size_t at, std::uint64_t value) { std::memcpy(stack_.data() + at, &value, 8); }
  /// `length` in instructions, one epilog at the end whose codes begin at `epilog`.
  void Record(std::uint32_t rva, std::uint32_t length, std::uint32_t epilog,
              const std::vector<std::byte>& codes) {
    const auto words = static_cast<std::uint32_t>((codes.size() + 3) / 4);
    Image32(rva, length | 1u << 21 | epilog << 22 | words << 27);
    std::copy(codes.begin(), codes.end(), image_.begin() + rva + 4);
  }
  Arm64Outcome Unwind(std::uint32_t rva, bool interrupted) {
    registers_.Set("pc", kBase + rva);
    return UnwindArm64(source_, {kBase, 0x4000}, interrupted, registers_);
  }
  std::uint64_t Get(const char* name) const { return *registers_.Get(name); }

  std::vector<std::byte> image_, stack_;
  std::uint32_t entries_ = 0;
  UnwindSource source_;
  RegisterSet registers_;
};

/// stp fp,lr,[sp,#-0x20]!; stp x19,x20,[sp,#0x10]; mov fp,sp; sub sp,sp,#0x40
class Arm64Record : public Arm64Machine {
 protected:
  Arm64Record() {
    Entry(kFirst, kXdata);
    // alloc 40; set_fp; x19,x20 at 10; fp,lr with write-back of 20; end
    Record(kXdata, 0x20, 0, Bytes({0x04, 0xE1, 0xC8, 0x02, 0x83, 0xE4, 0xE3, 0xE3}));
    for (const std::size_t at : {0x0, 0x40}) {
      Stack(at, 0xF0F0);
      Stack(at + 8, kBase + kSecond + 0x10);
      Stack(at + 0x10, 0x1919);
      Stack(at + 0x18, 0x2020);
    }
    registers_.Set("fp", kStack + 0x40);
    registers_.Set("lr", kBase + kLeaf);
    registers_.Set("x19", 0xA19);
  }
};

TEST_F(Arm64Record, InTheBodyEverythingIsUndone) {
  EXPECT_EQ(Unwind(kFirst + 0x28, false), Arm64Outcome::kUnwound);
  EXPECT_EQ(Get("sp"), kStack + 0x60);
  EXPECT_EQ(Get("pc"), kBase + kSecond + 0x10);
  EXPECT_EQ(Get("fp"), 0xF0F0u);
  EXPECT_EQ(Get("x19"), 0x1919u);
  EXPECT_EQ(Get("x20"), 0x2020u);
}

TEST_F(Arm64Record, InThePrologWhatDidNotRunIsNotUndone) {
  EXPECT_EQ(Unwind(kFirst, true), Arm64Outcome::kUnwound);
  EXPECT_EQ(Get("sp"), kStack);
  EXPECT_EQ(Get("pc"), kBase + kLeaf) << "still in lr";
  registers_.Set("lr", kBase + kLeaf);
  EXPECT_EQ(Unwind(kFirst + 4, true), Arm64Outcome::kUnwound);
  EXPECT_EQ(Get("sp"), kStack + 0x20);
  EXPECT_EQ(Get("pc"), kBase + kSecond + 0x10);
  EXPECT_EQ(Get("x19"), 0xA19u);
}

TEST_F(Arm64Record, InTheEpilogWhatRanIsNotUndoneAgain) {
  // The last instruction is the return, the one before restores fp and lr.
  EXPECT_EQ(Unwind(kFirst + 0x1E * 4, true), Arm64Outcome::kUnwound);
  EXPECT_EQ(Get("sp"), kStack + 0x20);
  EXPECT_EQ(Get("pc"), kBase + kSecond + 0x10);
  registers_.Set("sp", kStack);
  registers_.Set("lr", kBase + kLeaf);
  EXPECT_EQ(Unwind(kFirst + 0x1F * 4, true), Arm64Outcome::kUnwound);
  EXPECT_EQ(Get("sp"), kStack);
  EXPECT_EQ(Get("pc"), kBase + kLeaf);
}

TEST_F(Arm64Record, BehindTheLastEntryIsALeaf) {
  EXPECT_EQ(Unwind(kLeaf, true), Arm64Outcome::kLeaf);
  EXPECT_EQ(Get("pc"), kBase + kLeaf);
  EXPECT_EQ(Get("sp"), kStack);
  EXPECT_EQ(Unwind(kLeaf + 0x100, false), Arm64Outcome::kNoInformation);
  EXPECT_EQ(Unwind(0x10, true), Arm64Outcome::kNoInformation) << "before the first";
}

TEST_F(Arm64Record, AStackThatCannotBeReadEndsTheWalk) {
  registers_.Set("fp", kStack + 0x10000);
  EXPECT_EQ(Unwind(kFirst + 0x28, false), Arm64Outcome::kUnreadable);
}

TEST_F(Arm64Machine, PackedEntriesStandForTheCanonicalFrame) {
  // Length 0x40, two integer registers, chained with a signed return address, frame of 0x30.
  Entry(kFirst, 1 | 0x10 << 2 | 2u << 16 | 2u << 21 | 3u << 23);
  Stack(0x0, 0xF0F0);
  Stack(0x8, (kBase + kSecond + 0x10) & ~(std::uint64_t{0x7F} << 48));  // signed
  Stack(0x20, 0x1919);
  Stack(0x28, 0x2020);
  registers_.Set("fp", kStack);
  EXPECT_EQ(Unwind(kFirst + 0x20, false), Arm64Outcome::kUnwound);
  EXPECT_EQ(Get("sp"), kStack + 0x30);
  EXPECT_EQ(Get("pc"), kBase + kSecond + 0x10);
  EXPECT_EQ(Get("x19"), 0x1919u);
  EXPECT_EQ(Get("x20"), 0x2020u);
}

TEST_F(Arm64Machine, PackedEntriesWithoutAChainKeepTheReturnAddressBehindTheOthers) {
  // Three integer registers and lr, frame of 0x30: x19,x20 at 10; x21,lr at 20.
  Entry(kFirst, 1 | 0x10 << 2 | 3u << 16 | 1u << 21 | 3u << 23);
  Stack(0x10, 0x1919);
  Stack(0x20, 0x2121);
  Stack(0x28, kBase + kSecond + 0x10);
  EXPECT_EQ(Unwind(kFirst + 0x20, false), Arm64Outcome::kUnwound);
  EXPECT_EQ(Get("sp"), kStack + 0x30);
  EXPECT_EQ(Get("x19"), 0x1919u);
  EXPECT_EQ(Get("x21"), 0x2121u);
  EXPECT_EQ(Get("pc"), kBase + kSecond + 0x10);
}

TEST_F(Arm64Machine, AWalkFallsBackToFrameRecordsAndSaysSo) {
  Entry(kFirst, kXdata);
  Record(kXdata, 0x20, 0, Bytes({0x81, 0xE4, 0xE3, 0xE3}));  // stp fp,lr,[sp,#-0x10]!
  Stack(0x0, kStack + 0x40);
  Stack(0x8, kBase + kSecond + 0x10);  // a function without an entry
  Stack(0x40, 0);
  Stack(0x48, kBase + kFirst + 0x20);
  registers_.Set("pc", kBase + kFirst + 0x20);
  const std::vector<StackFrame> frames = WalkStack(registers_, source_);
  ASSERT_GE(frames.size(), 3u);
  EXPECT_EQ(frames[0].warning, "");
  EXPECT_EQ(frames[0].return_address, kBase + kSecond + 0x10);
  EXPECT_EQ(frames[1].warning, kNoUnwindInformation);
  EXPECT_EQ(frames[2].registers.program_counter(), kBase + kFirst + 0x20);
}

TEST(Arm64Codes, EveryFormHasItsLength) {
  // save_next widens the pair behind it; d registers; a large allocation; one that nobody knows.
  const auto unwind = DecodeArm64Unwind(Bytes(
      {0x08, 0, 0x20, 0x20, 0xE6, 0xC8, 0x02, 0xD8, 0x04, 0xE0, 0, 1, 0, 0xD6, 0x41, 0xDF, 0, 0xE4, 0, 0}));
  ASSERT_TRUE(unwind);
  ASSERT_EQ(unwind->prolog.size(), 6u);
  EXPECT_EQ(unwind->prolog[0].first, 21);
  EXPECT_EQ(unwind->prolog[0].offset, 0x20u);
  EXPECT_EQ(unwind->prolog[1].first, 19);
  EXPECT_TRUE(unwind->prolog[2].floating);
  EXPECT_EQ(unwind->prolog[3].size, 0x1000u);
  EXPECT_EQ(unwind->prolog[4].first, 21);
  EXPECT_EQ(unwind->prolog[4].last, 30);
  EXPECT_EQ(unwind->prolog[5].kind, Kind::kUnknown);
  EXPECT_FALSE(DecodeArm64Unwind(Bytes({0x08, 0, 0x04, 0x08}))) << "another version";
  EXPECT_FALSE(DecodeArm64Unwind(Bytes({0x08, 0, 0, 0xF8}))) << "cut";
  EXPECT_FALSE(DecodePackedArm64(0));
}

}  // namespace
}  // namespace longwire
