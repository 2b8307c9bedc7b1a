// Manipulate requests and replies, contexts and machines: parts of kd-protocol.md 10 that are decoding and
// encoding.
#include "proto/kd/manipulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <map>

#include "proto/kd/context.h"
#include "tests/unit/proto_kd/worked_packets.h"

namespace longwire::kd::testing {
namespace {

using ::testing::ElementsAre;

TEST(KdManipulate, ShortReplyReadsAsZeros) {
  const ManipulateReply reply = DecodeReply(FromHex("393900000000000002"
                                                    "0000c0"))
                                    .value();
  EXPECT_EQ(reply.status, kStatusNotImplemented);
  EXPECT_TRUE(reply.data.empty());
  EXPECT_EQ(DecodeMsr(reply), 0u);
  EXPECT_FALSE(DecodeReply(Bytes(11)).has_value());
}

TEST(KdManipulate, RequestsWithoutReply) {
  EXPECT_FALSE(HasReply(Api::kContinue2));
  EXPECT_FALSE(HasReply(Api::kSwitchProcessor));
  EXPECT_FALSE(HasReply(Api::kClearAllInternalBreakpoints));
  EXPECT_TRUE(HasReply(Api::kReadVirtual));
  EXPECT_TRUE(HasReply(Api::kClearSpecialCalls) == false);
}

TEST(KdManipulate, WritesCarryTheirData) {
  const Bytes data = FromHex("0102030405");
  const Bytes request = EncodeWriteVirtual(2, 0x1234, data);
  EXPECT_EQ(request.size(), kManipulateSize + 5);
  EXPECT_EQ(Load64(request, 0x10), 0x1234u);
  EXPECT_EQ(Load32(request, 0x18), 5u);
  EXPECT_EQ(Load8(request, 0x38), 1);
  Bytes reply = request;
  Store(std::span<std::byte>(reply), 0x1C, std::uint32_t{99});
  EXPECT_EQ(DecodeWritten(DecodeReply(reply).value(), 5), 5u);
}

TEST(KdManipulate, UnionsAsInTheTable) {
  const Bytes context = EncodeSetContextEx(1, 0x10, Bytes(8));
  EXPECT_EQ(Load32(context, 0x10), 0x10u);
  EXPECT_EQ(Load32(context, 0x14), 8u);
  EXPECT_EQ(Load32(context, 0x18), 8u);
  const Bytes msr = EncodeWriteMsr(0, 0xC0000080, 0x1122334455667788);
  EXPECT_EQ(Load32(msr, 0x14), 0x55667788u);
  EXPECT_EQ(Load32(msr, 0x18), 0x11223344u);
  EXPECT_EQ(DecodeMsr(DecodeReply(msr).value()), 0x1122334455667788u);
  const Bytes search = EncodeSearchMemory(0x1000, 0x2000, Bytes(3));
  EXPECT_EQ(Load64(search, 0x18), 0x2000u);
  EXPECT_EQ(Load32(search, 0x20), 3u);
  const Bytes fill = EncodeFillMemory(0x1000, 64, FillTarget::kPhysical, Bytes(2));
  EXPECT_EQ(Load16(fill, 0x1C), 2);
  EXPECT_EQ(Load16(fill, 0x1E), 2);
  const Bytes io = EncodeWriteIoSpaceExtended({4, 5, 1, 0, 0xFEE00000}, 7);
  EXPECT_EQ(Load32(io, 0x10), 4u);
  EXPECT_EQ(Load64(io, 0x20), 0xFEE00000u);
  EXPECT_EQ(DecodeIoExtendedValue(DecodeReply(io).value()), 7u);
  const Bytes bus = EncodeGetBusData({4, 1, 0x21, 0x10}, 4);
  EXPECT_EQ(Load32(bus, 0x18), 0x21u);
  EXPECT_EQ(Load32(bus, 0x20), 4u);
  const Bytes custom = EncodeWriteCustomBreakpoint(0x10, 0xCC, 1, 2);
  EXPECT_EQ(Load8(custom, 0x24), 1);
  EXPECT_EQ(Load8(custom, 0x25), 2);
}

TEST(KdManipulate, BreakpointLists) {
  const Bytes request = EncodeWriteBreakpointEx({{0x1000, 0}, {0x2000, 7}}, kContinue);
  EXPECT_EQ(Load32(request, 0x10), 2u);
  const auto entries = DecodeBreakpointsEx(DecodeReply(request).value(), 10);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].address, 0x2000u);
  EXPECT_EQ(entries[1].handle, 7u);
  const Bytes restore = EncodeRestoreBreakpointEx({1, 2, 3}, kContinue);
  EXPECT_THAT(DecodeRestoredEx(DecodeReply(restore).value(), 2), ElementsAre(1, 2));
}

TEST(KdManipulate, FailedSearchIsNotFound) {
  Bytes reply = EncodeSearchMemory(0x1000, 0x2000, {});
  Store(std::span<std::byte>(reply), 8, std::uint32_t{0xC0000225});
  EXPECT_FALSE(DecodeFound(DecodeReply(reply).value()).has_value());
  Store(std::span<std::byte>(reply), 8, std::uint32_t{0});
  EXPECT_EQ(DecodeFound(DecodeReply(reply).value()), 0x1000u);
}

TEST(KdContext, LayoutsHoldTheirRegisters) {
  for (const Machine machine : {Machine::kAmd64, Machine::kX86, Machine::kArm64}) {
    const ContextLayout* layout = FindContextLayout(machine);
    ASSERT_NE(layout, nullptr);
    std::map<std::string_view, int> names;
    for (const RegisterField& field : layout->registers) {
      EXPECT_LE(field.offset + field.size, layout->size) << field.name;
      EXPECT_EQ(++names[field.name], 1) << field.name;
    }
    for (const RegisterField& field : FindSpecialLayout(machine)->registers) {
      EXPECT_LE(field.offset, 0xE0u) << field.name;
      EXPECT_EQ(++names[field.name], 1) << field.name;
    }
  }
  EXPECT_EQ(FindContextRegister(Machine::kAmd64, "rip")->offset, 0xF8);
  EXPECT_EQ(FindContextRegister(Machine::kAmd64, "xmm0")->offset, 0x1A0);
  EXPECT_EQ(FindContextRegister(Machine::kX86, "eip")->offset, 0xB8);
  EXPECT_EQ(FindContextRegister(Machine::kX86, "ss")->offset, 0xC8);
  EXPECT_EQ(FindContextRegister(Machine::kArm64, "pc")->offset, 0x108);
  EXPECT_EQ(FindSpecialRegister(Machine::kAmd64, "cr3")->offset, 0x10);
  EXPECT_EQ(FindSpecialRegister(Machine::kX86, "idtr")->offset, 0x34);
  EXPECT_EQ(FindContextLayout(Machine::kUnknown), nullptr);
  EXPECT_EQ(FindContextRegister(Machine::kX86, "rip"), nullptr);
}

TEST(KdContext, BreakpointInstructions) {
  EXPECT_TRUE(IsBreakpointInstruction(Machine::kAmd64, FromHex("cc90")));
  EXPECT_FALSE(IsBreakpointInstruction(Machine::kAmd64, FromHex("90cc")));
  EXPECT_TRUE(IsBreakpointInstruction(Machine::kArm64, FromHex("00003ed4")));
  EXPECT_FALSE(IsBreakpointInstruction(Machine::kArm64, FromHex("00003e")));
  EXPECT_FALSE(IsBreakpointInstruction(Machine::kUnknown, FromHex("cc")));
}

TEST(KdMachine, AddressesOf32BitTargets) {
  EXPECT_EQ(ExtendAddress(Machine::kX86, 0x80400000), 0xFFFFFFFF80400000u);
  EXPECT_EQ(ExtendAddress(Machine::kX86, 0x7FFE0000), 0x7FFE0000u);
  EXPECT_EQ(ExtendAddress(Machine::kAmd64, 0x80400000), 0x80400000u);
}

}  // namespace
}  // namespace longwire::kd::testing
