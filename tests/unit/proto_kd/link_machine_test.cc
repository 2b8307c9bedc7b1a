// Conformance cases of kd-protocol.md 10.1 that concern ids, retransmission and RESET.
#include "proto/kd/link_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/kd/debug_io.h"
#include "proto/kd/file_io.h"
#include "proto/kd/manipulate.h"
#include "tests/unit/proto_kd/simulated_host.h"

namespace longwire::kd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kVersionReply = kE07;

TEST(KdHost, H01_SyncOnAFreshLink) {
  SimulatedHost host;
  host.FeedHex(kE05);
  EXPECT_EQ(host.output, FromHex(kE03));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  Request(host);
  EXPECT_EQ(host.output, FromHex(kE06));
  host.output.clear();
  host.FeedAck(kN);
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, H02_RepeatedSyncIsAcknowledgedOnly) {
  SimulatedHost host;
  host.Stop();
  host.FeedHex(kE05);
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  EXPECT_THAT(host.Events(), IsEmpty());
  EXPECT_EQ(host.machine.counters().duplicates, 1u);
}

TEST(KdHost, H02_RepeatedPacketWithoutSync) {
  SimulatedHost host;
  host.Stop();
  for (int i = 0; i < 2; ++i) host.FeedData(PacketType::kDebugIo, kN1, PayloadOf(kE14));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001", "ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdHost, H03_NextIdIsDelivered) {
  SimulatedHost host;
  host.Stop();
  host.FeedData(PacketType::kStateChange64, kN1, PayloadOf(kE05));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("data 7"));
}

TEST(KdHost, EqualPrintsInARowAreBothDelivered) {
  SimulatedHost host;
  host.FeedData(PacketType::kDebugIo, kN | kSyncBit, PayloadOf(kE14));
  host.FeedData(PacketType::kDebugIo, kN1, PayloadOf(kE14));
  host.FeedData(PacketType::kDebugIo, kN, PayloadOf(kE14));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 3", "data 3", "data 3"));
}

TEST(KdHost, H15_NoAcknowledge) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.Advance(milliseconds(9999));
  const Bytes frame = FromHex(kE06);
  Bytes five;
  for (int i = 0; i < 5; ++i) five.insert(five.end(), frame.begin(), frame.end());
  EXPECT_EQ(host.output, five);
  EXPECT_THAT(host.Events(), IsEmpty());
  host.output.clear();
  host.Advance(milliseconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("reset"));
  EXPECT_THAT(host.Events(), ElementsAre("failed timed-out"));
  host.Advance(seconds(6));
  EXPECT_THAT(host.Sent(), ElementsAre("reset", "reset"));
  EXPECT_THAT(host.Events(), ElementsAre("lost"));
  host.Advance(seconds(60));
  EXPECT_THAT(host.Sent(), IsEmpty());
  EXPECT_TRUE(host.machine.CanSend());
  EXPECT_FALSE(host.machine.Synchronized());
}

TEST(KdHost, H15_LostLinkRecoversByItself) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.Advance(seconds(30));
  host.Events();
  host.Sent();
  host.FeedData(PacketType::kStateChange64, kN1, PayloadOf(kE05));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
}

TEST(KdHost, H16_Resend) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.output.clear();
  host.FeedResend();
  EXPECT_EQ(host.output, FromHex(kE06));
  EXPECT_EQ(host.machine.counters().retransmissions, 1u);
}

TEST(KdHost, H16_ResendWithoutPacketInFlightIsIgnored) {
  SimulatedHost host;
  host.Stop();
  host.FeedResend();
  EXPECT_THAT(host.Sent(), IsEmpty());
}

TEST(KdHost, H17_AcknowledgeWithTheWrongId) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.output.clear();
  host.FeedAck(kN1);
  host.FeedAck(kN | kSyncBit);
  host.Advance(milliseconds(1999));
  EXPECT_THAT(host.Sent(), IsEmpty());
  host.Advance(milliseconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800000 56"));
}

TEST(KdHost, H18_ReplyCountsAsAcknowledge) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.Sent();
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
  Request(host);
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800001 56"));
}

TEST(KdHost, H19_NoReply) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.FeedAck(kN);
  host.Sent();
  host.Advance(milliseconds(4999));
  EXPECT_THAT(host.Sent(), IsEmpty());
  host.Advance(milliseconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("reset"));
  EXPECT_THAT(host.Events(), ElementsAre("failed timed-out"));
  host.FeedReset();
  host.FeedData(PacketType::kStateChange64, kN, PayloadOf(kE05));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  host.Advance(seconds(60));
  EXPECT_THAT(host.Events(), IsEmpty());
}

TEST(KdHost, H20_ReplyTwice) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.FeedAck(kN);
  host.Sent();
  for (int i = 0; i < 2; ++i) host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001", "ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, H21_SyncWhileARequestIsInFlight) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.FeedAck(kN);
  host.Sent();
  Bytes other = PayloadOf(kE05);
  other[0x18] ^= std::byte{1};
  host.FeedData(PacketType::kStateChange64, kN | kSyncBit, other);
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  EXPECT_THAT(host.Events(), ElementsAre("failed target-restarted", "restarted", "data 7"));
  Request(host);
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800000 56"));
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, H22_UnsolicitedReset) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.Sent();
  host.FeedReset();
  EXPECT_THAT(host.Sent(), ElementsAre("reset"));
  EXPECT_THAT(host.Events(), ElementsAre("failed link-failed", "linkreset"));
  host.Advance(milliseconds(999));
  host.FeedReset();
  EXPECT_THAT(host.Sent(), IsEmpty());
  host.Advance(milliseconds(1));
  host.FeedReset();
  EXPECT_THAT(host.Sent(), ElementsAre("reset"));
  host.FeedData(PacketType::kStateChange64, kN, PayloadOf(kE05));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  Request(host);
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800000 56"));
}

TEST(KdHost, H23_HostReset) {
  SimulatedHost host;
  host.machine.Reset(host.now);
  host.Advance(Duration::zero());
  EXPECT_EQ(host.output, FromHex(kE01));
  host.Sent();
  host.FeedHex(kE02);
  EXPECT_THAT(host.Events(), ElementsAre("synchronized"));
  host.FeedData(PacketType::kStateChange64, kN, PayloadOf(kE05));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  host.FeedData(PacketType::kDebugIo, kN1, PayloadOf(kE14));
  EXPECT_THAT(host.Events(), ElementsAre("data 7", "data 3"));
}

TEST(KdHost, H23_TwoResetsAnsweredLateDeliverTheStopOnce) {
  SimulatedHost host;
  host.machine.Reset(host.now);
  host.Advance(seconds(2));
  EXPECT_THAT(host.Sent(), ElementsAre("reset", "reset"));
  for (int i = 0; i < 2; ++i) {
    host.FeedReset();
    host.FeedData(PacketType::kStateChange64, kN, PayloadOf(kE05));
  }
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000", "ack 80800000"));
}

TEST(KdHost, H23_StopIsDeliveredAgainAfterALaterReset) {
  SimulatedHost host;
  host.Stop();
  host.machine.Reset(host.now);
  host.FeedReset();
  host.FeedData(PacketType::kStateChange64, kN, PayloadOf(kE05));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
}

TEST(KdHost, H25_PrintBetweenRequestAndReply) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.FeedAck(kN);
  host.Sent();
  host.FeedData(PacketType::kDebugIo, kN1, PayloadOf(kE14));
  host.FeedData(PacketType::kStateManipulate, kN, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001", "ack 80800000"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3", "reply"));
}

TEST(KdHost, H26_PrintIsAcknowledgedWithoutAnyCallFromAbove) {
  SimulatedHost host;
  host.Stop();
  for (int i = 0; i < 500; ++i) {
    host.FeedData(PacketType::kDebugIo, i % 2 ? kN : kN1, PayloadOf(kE14));
    ASSERT_THAT(host.Sent(), ElementsAre(i % 2 ? "ack 80800000" : "ack 80800001"));
  }
}

TEST(KdHost, H27_PromptAnswer) {
  SimulatedHost host;
  host.Stop();
  for (int i = 0; i < 2; ++i) host.FeedData(PacketType::kDebugIo, kN1, PayloadOf(kE15));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001", "ack 80800001"));
  ASSERT_EQ(host.events.size(), 1u);
  const auto prompt = DecodeDebugIo(host.events[0].payload);
  ASSERT_TRUE(prompt.has_value());
  host.Events();
  ASSERT_TRUE(
      host.machine.SendData(host.now, PacketType::kDebugIo, EncodePromptAnswer(*prompt, "b")).has_value());
  host.Advance(Duration::zero());
  EXPECT_EQ(host.output, EncodeDataPacket(PacketType::kDebugIo, kN, PayloadOf(kE16)));
  host.FeedAck(kN);
  EXPECT_THAT(host.Events(), ElementsAre("acknowledged"));
}

TEST(KdHost, H28_EmptyPromptAnswerIsSentOnce) {
  SimulatedHost host;
  host.Stop();
  const auto prompt = DecodeDebugIo(PayloadOf(kE15));
  ASSERT_TRUE(
      host.machine.SendData(host.now, PacketType::kDebugIo, EncodePromptAnswer(*prompt, "")).has_value());
  host.Advance(Duration::zero());
  EXPECT_THAT(host.Sent(), ElementsAre("data 3 80800000 16"));
  host.FeedAck(kN);
  host.Advance(seconds(60));
  EXPECT_THAT(host.Sent(), IsEmpty());
}

TEST(KdHost, H37_SameSyncStateChangeAfterContinue) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  EXPECT_EQ(host.output, FromHex(kE13));
  host.FeedAck(kN);
  EXPECT_THAT(host.Events(), ElementsAre("acknowledged"));
  host.Sent();
  host.FeedHex(kE05);
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  EXPECT_THAT(host.Events(), ElementsAre("restarted", "data 7"));
}

TEST(KdHost, NewDataPacketCountsAsAcknowledgeOfContinue) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  host.Sent();
  host.FeedData(PacketType::kDebugIo, kN1, PayloadOf(kE14));
  EXPECT_THAT(host.Events(), ElementsAre("acknowledged", "data 3"));
  host.Advance(seconds(60));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  Request(host);
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800001 56"));
}

TEST(KdHost, RepeatedPacketDoesNotCountAsAcknowledgeOfContinue) {
  SimulatedHost host;
  host.Stop();
  Continue(host);
  host.FeedHex(kE05);
  EXPECT_THAT(host.Events(), IsEmpty());
  EXPECT_FALSE(host.machine.CanSend());
}

TEST(KdHost, H44_ReplyToAnotherRequest) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.FeedAck(kN);
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kE09));
  EXPECT_THAT(host.Events(), ElementsAre("dropped"));
  host.Advance(milliseconds(4999));
  EXPECT_THAT(host.Events(), IsEmpty());
  host.FeedData(PacketType::kStateManipulate, kN, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, StrayReplyIsDropped) {
  SimulatedHost host;
  host.Stop();
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kE09));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("dropped"));
}

TEST(KdHost, OnePacketInFlight) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  const auto second = host.machine.SendRequest(host.now, EncodeGetVersion());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::kBusy);
}

TEST(KdHost, PayloadLimit) {
  SimulatedHost host;
  host.Stop();
  EXPECT_TRUE(host.machine.SendData(host.now, PacketType::kFileIo, Bytes(4000)).has_value());
  host.FeedAck(kN);
  EXPECT_EQ(host.machine.SendData(host.now, PacketType::kFileIo, Bytes(4001)).error().code,
            Errc::kLimitExceeded);
  EXPECT_TRUE(host.machine.CanSend());
}

TEST(KdHost, BreakInIsOneByte) {
  SimulatedHost host;
  host.machine.BreakIn(host.now);
  host.Advance(Duration::zero());
  EXPECT_EQ(host.output, Bytes{kBreakInByte});
}

TEST(KdTimers, SlowLinesWaitLonger) {
  const Timers slow = Timers::ForSerial(9600);
  EXPECT_EQ(slow.acknowledge, seconds(8));
  EXPECT_EQ(slow.FrameTime(96), milliseconds(100));
  EXPECT_EQ(Timers::ForSerial(115200).acknowledge, seconds(2));
  EXPECT_EQ(Timers::ForPipe().FrameTime(4000), Duration::zero());
}

}  // namespace
}  // namespace longwire::kd::testing
