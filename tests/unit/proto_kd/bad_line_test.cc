// What a line that damages headers, repeats and loses packets must not lead to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/kd/link_machine.h"
#include "proto/kd/manipulate.h"
#include "tests/unit/proto_kd/simulated_host.h"

namespace longwire::kd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kVersionReply = kE07;

TEST(KdHost, H23_AReplyRepeatedAfterAResetMeetsNoNewRequest) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.Advance(seconds(10));
  EXPECT_THAT(host.Events(), ElementsAre("failed timed-out"));
  host.FeedReset();
  EXPECT_FALSE(host.machine.CanSend());
  host.FeedData(PacketType::kStateManipulate, kN, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "dropped"));
  EXPECT_TRUE(host.machine.CanSend());
}

TEST(KdHost, H23_ATargetWithNothingToRepeatIsNotWaitedForLong) {
  SimulatedHost host;
  host.machine.Reset(host.now);
  host.FeedReset();
  EXPECT_FALSE(host.machine.CanSend());
  host.Advance(seconds(2));
  EXPECT_TRUE(host.machine.CanSend());
}

TEST(KdHost, APacketUnderASkippedIdIsDelivered) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  host.FeedAck(kN);
  host.Sent();
  host.Events();
  // The target took a second copy of Continue for the acknowledge of its print, which was lost.
  host.FeedData(PacketType::kDebugIo, kN, PayloadOf(kE15));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
  host.FeedData(PacketType::kDebugIo, kN, PayloadOf(kE15));
  EXPECT_THAT(host.Events(), IsEmpty());
}

TEST(KdHost, DamagedHeadersAreAskedForAgain) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.FeedAck(kN);
  host.Sent();
  host.FeedData(PacketType::kStateManipulate, kN1 ^ 0x10000, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
  // No reply begins a stream.
  host.Advance(seconds(1));
  host.FeedData(PacketType::kStateManipulate, kN1 | kSyncBit, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, ADamagedCopyOfWhatWasDeliveredIsNotAskedFor) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.FeedAck(kN);
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  host.Sent();
  const auto damaged = [](PacketType type, std::uint32_t id, ByteView payload) {
    Bytes frame = EncodeDataPacket(type, id, payload);
    frame.back() = std::byte{0};
    return frame;
  };
  // Our acknowledge was lost; the target repeats its reply until it has one.
  host.Feed(damaged(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply)));
  host.Advance(seconds(1));
  EXPECT_THAT(host.Sent(), IsEmpty());
  // Neither while a Continue is under way: the target, asked again, would report its stop in its stead.
  Continue(host);
  host.Sent();
  host.Feed(damaged(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply)));
  host.Feed(FromHex("3030303002003800"));
  host.Advance(seconds(1));
  EXPECT_THAT(host.Sent(), IsEmpty());
  // What a target that runs already prints is new.
  host.Feed(damaged(PacketType::kDebugIo, kN, PayloadOf(kE15)));
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
}

TEST(KdHost, H44_ReplyAboutAnotherAddress) {
  SimulatedHost host;
  host.Stop();
  Bytes reply = EncodeReadVirtual(0, 0x2000, 8);
  ASSERT_TRUE(host.machine.SendRequest(host.now, EncodeReadVirtual(0, 0x1000, 8)).has_value());
  host.FeedAck(kN);
  host.FeedData(PacketType::kStateManipulate, kN1, reply);
  EXPECT_THAT(host.Events(), ElementsAre("dropped"));
  // A stub that leaves the address out is believed.
  std::fill_n(reply.begin() + 0x10, 8, std::byte{0});
  host.FeedData(PacketType::kStateManipulate, kN, reply);
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, ContinueIntoSilenceIsTakenAfterThreeCopies) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  host.Advance(milliseconds(5999));
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800000 56", "data 2 80800000 56", "data 2 80800000 56"));
  EXPECT_THAT(host.Events(), IsEmpty());
  host.Advance(milliseconds(1));
  EXPECT_THAT(host.Events(), ElementsAre("acknowledged"));
  host.Advance(seconds(60));
  EXPECT_THAT(host.Sent(), IsEmpty());
}

TEST(KdHost, ADamagedAcknowledgeDoesNotMakeARunningTargetLookStopped) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  Bytes acknowledge = EncodeControlPacket(PacketType::kAcknowledge, kN);
  acknowledge.resize(acknowledge.size() - 1);
  host.Advance(milliseconds(1));
  host.Feed(acknowledge);
  host.Advance(seconds(8));
  EXPECT_THAT(host.Events(), ElementsAre("acknowledged"));
}

TEST(KdHost, AContinueWhoseLastCopiesMetSilenceIsNotGivenUp) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  for (int i = 0; i < 4; ++i) {
    host.Advance(seconds(1));
    host.FeedHex("69 69");
    host.Advance(seconds(1));
  }
  EXPECT_THAT(host.Events(), IsEmpty());
  host.Sent();
  host.Advance(seconds(6));
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800000 56", "data 2 80800000 56"));
  EXPECT_THAT(host.Events(), ElementsAre("acknowledged"));
  // The same, but the line is never silent.
  host.Stop();
  Continue(host);
  for (int i = 0; i < 5; ++i) {
    host.Advance(seconds(1));
    host.FeedHex("69 69");
    host.Advance(seconds(1));
  }
  EXPECT_THAT(host.Events(), ElementsAre("failed timed-out"));
}

TEST(KdHost, ACutAcknowledgeDoesNotTakeTheBeginOfTheReport) {
  SimulatedHost host;
  host.Stop();
  for (std::size_t left = 1; left < kHeaderSize; ++left) {
    Continue(host);
    Bytes bytes = EncodeControlPacket(PacketType::kAcknowledge, left % 2 != 0 ? kN : kN1);
    bytes.resize(left);
    const Bytes report = EncodeDataPacket(PacketType::kDebugIo, left % 2 != 0 ? kN : kN1,
                                          PayloadOf(left % 2 != 0 ? kE15 : kE05));
    bytes.insert(bytes.end(), report.begin(), report.end());
    host.Feed(bytes);
    EXPECT_THAT(host.Events(), ElementsAre("acknowledged", "data 3")) << left << " bytes of the acknowledge";
  }
}

TEST(KdHost, ATargetThatAsksWhileItIsThoughtToRunIsReset) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  host.FeedAck(kN);
  host.Sent();
  host.Events();
  // Its report was lost on the way, and a copy of Continue acknowledged it.
  host.FeedResend();
  EXPECT_THAT(host.Sent(), ElementsAre("reset"));
  host.FeedReset();
  host.FeedData(PacketType::kDebugIo, kN, PayloadOf(kE15));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 3"));
  // Its report came: the same question is about something older.
  Continue(host);
  host.FeedAck(kN);
  host.FeedData(PacketType::kDebugIo, kN1, PayloadOf(kE15));
  host.Sent();
  host.FeedResend();
  EXPECT_THAT(host.Sent(), IsEmpty());
}

TEST(KdHost, ContinueRefusedByALivingTargetFails) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  for (int i = 0; i < 5; ++i) host.FeedResend();
  EXPECT_THAT(host.Events(), ElementsAre("failed timed-out"));
}

}  // namespace
}  // namespace longwire::kd::testing
