#include "client/engine/unwind_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/engine/unwind_epilog.h"

namespace longwire {
namespace {

std::vector<std::byte> Bytes(std::initializer_list<unsigned> values) {
  std::vector<std::byte> bytes;
  for (const unsigned value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(UnwindInfo, EveryOperation) {
  const auto bytes =
      Bytes({0x01, 0x40, 19,   0x25,                                      //
             0x40, 0xa9, 0x78, 0x56, 0x34, 0x12, 0x3c, 0x78, 3,    0,     // xmm far, xmm
             0x38, 0xc5, 0x00, 0x00, 0x01, 0x00, 0x34, 0x34, 4,    0,     // far, near
             0x30, 0x03, 0x2c, 0x22, 0x28, 0x11, 0x00, 0x00, 0x02, 0x00,  // fp, small, large u32
             0x20, 0x01, 0x10, 0x00, 0x08, 0x50, 0x00, 0x1a, 0,    0});   // large u16, push, machine frame
  const Result<UnwindInfo> info = ParseUnwindInfo(bytes);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->frame_register, 5);
  EXPECT_EQ(info->frame_offset, 0x20u);
  EXPECT_EQ(info->prolog_size, 0x40);
  std::vector<std::pair<UnwindOperation, std::uint32_t>> found;
  for (const UnwindCode& code : info->codes) found.emplace_back(code.operation, code.operand);
  using Op = UnwindOperation;
  EXPECT_THAT(found, ::testing::ElementsAre(
                         std::pair(Op::kSaveXmm128Far, 0x12345678u), std::pair(Op::kSaveXmm128, 0x30u),
                         std::pair(Op::kSaveNonvolatileFar, 0x10000u), std::pair(Op::kSaveNonvolatile, 0x20u),
                         std::pair(Op::kSetFramePointer, 0u), std::pair(Op::kAllocateSmall, 0x18u),
                         std::pair(Op::kAllocateLarge, 0x20000u), std::pair(Op::kAllocateLarge, 0x80u),
                         std::pair(Op::kPushNonvolatile, 0u), std::pair(Op::kPushMachineFrame, 0u)));
  EXPECT_EQ(info->codes[0].info, 10);
  EXPECT_EQ(info->codes.back().info, 1);
}

TEST(UnwindInfo, EpilogsOfVersion2) {
  // Size 5, one at the end, others 0x20 and 0x123 before the end, then a push.
  const auto bytes = Bytes({0x02, 0x01, 4, 0, 0x05, 0x16, 0x20, 0x06, 0x23, 0x16, 0x01, 0x30});
  const Result<UnwindInfo> info = ParseUnwindInfo(bytes);
  ASSERT_TRUE(info) << info.error().message;
  ASSERT_EQ(info->epilogs.size(), 3u);
  EXPECT_EQ(info->epilogs[0].distance_from_end, 5u);
  EXPECT_EQ(info->epilogs[1].distance_from_end, 0x20u);
  EXPECT_EQ(info->epilogs[2].distance_from_end, 0x123u);
  EXPECT_EQ(info->epilogs[2].size, 5u);
  ASSERT_EQ(info->codes.size(), 1u);
  EXPECT_EQ(info->codes[0].info, 3);
}

TEST(UnwindInfo, ObsoleteOperationsOfVersion1TakeTheirSlots) {
  const auto bytes = Bytes({0x01, 0x09, 6, 0, 9, 0x66, 0, 0, 8, 0x67, 0, 0, 0, 0, 1, 0x30});
  const Result<UnwindInfo> info = ParseUnwindInfo(bytes);
  ASSERT_TRUE(info) << info.error().message;
  ASSERT_EQ(info->codes.size(), 3u);
  EXPECT_EQ(info->codes[2].operation, UnwindOperation::kPushNonvolatile);
}

TEST(UnwindInfo, ChainedEntryFollowsThePaddedCodes) {
  const auto bytes =
      Bytes({0x21, 0x01, 1, 0, 0x01, 0x30, 0, 0, 0, 0x10, 0, 0, 0x40, 0x10, 0, 0, 0x20, 0x30, 0, 0});
  const Result<UnwindInfo> info = ParseUnwindInfo(bytes);
  ASSERT_TRUE(info);
  ASSERT_TRUE(info->chained);
  EXPECT_EQ(info->chained->begin, 0x1000u);
  EXPECT_EQ(info->chained->end, 0x1040u);
  EXPECT_EQ(info->chained->unwind, 0x3020u);
}

TEST(UnwindInfo, RefusesBadData) {
  EXPECT_FALSE(ParseUnwindInfo(Bytes({1, 0, 0}))) << "header";
  EXPECT_FALSE(ParseUnwindInfo(Bytes({0, 0, 0, 0}))) << "version 0";
  EXPECT_FALSE(ParseUnwindInfo(Bytes({3, 0, 0, 0}))) << "version 3";
  EXPECT_FALSE(ParseUnwindInfo(Bytes({1, 0, 2, 0, 0, 2}))) << "codes cut short";
  EXPECT_FALSE(ParseUnwindInfo(Bytes({1, 0, 1, 0, 0, 0x01, 0, 0}))) << "operand beyond the count";
  EXPECT_FALSE(ParseUnwindInfo(Bytes({1, 0, 2, 0, 0, 0x21, 0, 0}))) << "ALLOC_LARGE info 2";
  EXPECT_FALSE(ParseUnwindInfo(Bytes({1, 0, 1, 0, 0, 0x0b, 0, 0}))) << "operation 11";
  EXPECT_FALSE(ParseUnwindInfo(Bytes({0x21, 0, 0, 0, 0, 0, 0, 0}))) << "chained entry cut short";
  EXPECT_TRUE(ParseUnwindInfo(Bytes({1, 0, 0, 0})));
}

TEST(Epilog, AcceptedForms) {
  const auto add = DecodeEpilog(Bytes({0x48, 0x83, 0xc4, 0x28, 0x41, 0x5e, 0x5b, 0xc3}), 0, 0, false);
  ASSERT_TRUE(add);
  EXPECT_EQ(add->adjustment, 0x28);
  EXPECT_THAT(add->popped, ::testing::ElementsAre(14, 3));
  const auto large = DecodeEpilog(Bytes({0x48, 0x81, 0xc4, 0, 1, 0, 0, 0xf3, 0xc3}), 0, 0, false);
  ASSERT_TRUE(large);
  EXPECT_EQ(large->adjustment, 0x100);
  const auto lea = DecodeEpilog(Bytes({0x48, 0x8d, 0x65, 0x10, 0x5d, 0xc2, 8, 0}), 0, 5, false);
  ASSERT_TRUE(lea);
  EXPECT_EQ(lea->frame_register, 5);
  EXPECT_EQ(lea->adjustment, 0x10);
  EXPECT_EQ(lea->freed_arguments, 8u);
  EXPECT_TRUE(DecodeEpilog(Bytes({0x49, 0x8d, 0x64, 0x24, 0x10, 0xc3}), 0, 12, false))
      << "r12 needs a SIB byte";
  const auto jump = DecodeEpilog(Bytes({0x5b, 0xe9, 0x10, 0, 0, 0}), 0x1000, 0, false);
  ASSERT_TRUE(jump);
  EXPECT_EQ(jump->jump_target, 0x1016u);
  EXPECT_EQ(DecodeEpilog(Bytes({0xeb, 0xfe}), 0x1000, 0, false)->jump_target, 0x1000u);
  EXPECT_TRUE(DecodeEpilog(Bytes({0xff, 0x25, 0, 0, 0, 0}), 0, 0, false));
  EXPECT_TRUE(DecodeEpilog(Bytes({0x48, 0xff, 0xe0}), 0, 0, false));
  EXPECT_TRUE(DecodeEpilog(Bytes({0x5b, 0xff, 0xe0}), 0, 0, false));
}

TEST(Epilog, RefusedForms) {
  EXPECT_FALSE(DecodeEpilog(Bytes({0xff, 0xe0}), 0, 0, false)) << "may be a switch table";
  EXPECT_TRUE(DecodeEpilog(Bytes({0xff, 0xe0}), 0, 0, true));
  EXPECT_FALSE(DecodeEpilog(Bytes({0x48, 0x8d, 0x65, 0x10, 0xc3}), 0, 0, false)) << "no frame register";
  EXPECT_FALSE(DecodeEpilog(Bytes({0x48, 0x8d, 0x65, 0x10, 0xc3}), 0, 3, false)) << "another register";
  EXPECT_FALSE(DecodeEpilog(Bytes({0x5b, 0x90, 0xc3}), 0, 0, false)) << "other instruction";
  EXPECT_FALSE(DecodeEpilog(Bytes({0x5b}), 0, 0, false)) << "cut short";
  EXPECT_FALSE(DecodeEpilog(Bytes({0x48, 0x83, 0xc4}), 0, 0, false));
  EXPECT_FALSE(DecodeEpilog(Bytes({0xe9, 0, 0}), 0, 0, false));
  EXPECT_FALSE(DecodeEpilog({}, 0, 0, true));
  EXPECT_FALSE(DecodeEpilog(std::vector<std::byte>(64, std::byte{0x58}), 0, 0, false));
}

}  // namespace
}  // namespace longwire
