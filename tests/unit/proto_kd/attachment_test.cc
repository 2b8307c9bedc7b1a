// Conformance cases of kd-protocol.md 10.1 that concern attaching to a target, for the first time and anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/proto_kd/simulated_host.h"

namespace longwire::kd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kVersionReply = kE07;

TEST(KdHost, H32_ReopenedStream) {
  SimulatedHost host;
  host.Stop();
  Request(host);
  host.Feed(ByteView(FromHex(kE14)).first(20));
  host.Sent();
  host.machine.Reopen();
  host.Advance(Duration::zero());
  EXPECT_THAT(host.Events(), ElementsAre("failed link-failed"));
  EXPECT_FALSE(host.machine.Deadline().has_value());
  host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
  host.Advance(seconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("break"));
  host.FeedHex(kE05);
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  EXPECT_FALSE(host.machine.Attaching());
}

TEST(KdHost, H33_FortyQueuedStateChanges) {
  SimulatedHost host;
  host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
  for (int i = 0; i < 40; ++i) host.FeedHex(kE05);
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  EXPECT_EQ(host.Sent().size(), 40u);
  Request(host);
  host.FeedAck(kN);
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, H33_FortyQueuedStateChangesOfADeadHostsSession) {
  SimulatedHost host;
  host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
  for (int i = 0; i < 40; ++i) host.FeedData(PacketType::kStateChange64, kN1, PayloadOf(kE05));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
}

TEST(KdHost, H34_TargetExpectsTheOtherId) {
  SimulatedHost host;
  host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
  host.FeedData(PacketType::kStateChange64, kN1, PayloadOf(kE05));
  host.Events();
  host.Sent();
  ASSERT_TRUE(
      host.machine.SendRequest(host.now, EncodeGetVersion(), host.machine.timers().first_reply).has_value());
  host.FeedAck(kN);
  host.Advance(seconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80800000 56", "reset"));
  EXPECT_THAT(host.Events(), ElementsAre("failed timed-out"));
  host.FeedReset();
  host.FeedData(PacketType::kStateChange64, kN, PayloadOf(kE05));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  Request(host);
  host.FeedAck(kN);
  host.FeedData(PacketType::kStateManipulate, kN1, PayloadOf(kVersionReply));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdHost, H35_AttachToARunningTarget) {
  SimulatedHost host;
  host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
  host.Advance(milliseconds(999));
  EXPECT_THAT(host.Sent(), IsEmpty());
  host.Advance(milliseconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("break"));
  host.Advance(seconds(2));
  EXPECT_THAT(host.Sent(), ElementsAre("reset"));
  host.Advance(seconds(8));
  EXPECT_THAT(host.Sent(), ElementsAre("break", "reset", "break", "reset"));
  host.FeedData(PacketType::kStateChange64, kN1, PayloadOf(kE05));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  host.Advance(seconds(60));
  EXPECT_THAT(host.Sent(), IsEmpty());
}

TEST(KdHost, H35_TurnsBecomeRarerWhileNothingComes) {
  SimulatedHost host;
  host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
  host.Advance(seconds(600));
  EXPECT_LT(host.Sent().size(), 90u) << "of 300 turns";
  // Whatever comes, or a break-in of the user, brings the haste back.
  host.Feed(Bytes(3, std::byte{0x20}));
  host.Advance(seconds(10));
  EXPECT_GE(host.Sent().size(), 5u);
  host.Advance(seconds(600));
  host.Sent();
  host.machine.BreakIn(host.now);
  host.Advance(seconds(10));
  EXPECT_GE(host.Sent().size(), 6u);
}

TEST(KdHost, H35_RareTurnsOfManyLinksComeTogether) {
  std::vector<TimePoint> turns;
  for (int link = 0; link < 20; ++link) {
    SimulatedHost host;
    host.now += std::chrono::milliseconds(10) * link;
    host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
    host.Advance(seconds(100) - std::chrono::milliseconds(10) * link);
    turns.push_back(host.machine.Deadline().value_or(TimePoint{}));
  }
  std::ranges::sort(turns);
  const auto end = std::unique(turns.begin(), turns.end());
  EXPECT_LE(end - turns.begin(), 2) << "moments at which a process with these links wakes";
}

TEST(KdHost, H35_ListeningNeverSendsUnasked) {
  SimulatedHost host;
  host.machine.Attach(host.now, LinkMachine::AttachMode::kListen);
  host.Advance(seconds(600));
  EXPECT_THAT(host.Sent(), IsEmpty());
  EXPECT_TRUE(host.machine.Attaching());
  host.FeedHex(kE05);
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  EXPECT_FALSE(host.machine.Attaching());
}

TEST(KdHost, H35_AttachGivesUpWhenAsked) {
  Timers timers;
  timers.attach_give_up = seconds(10);
  SimulatedHost host(timers);
  host.machine.Attach(host.now, LinkMachine::AttachMode::kBreakIn);
  host.Advance(seconds(10));
  EXPECT_THAT(host.Events(), ElementsAre("lost"));
  EXPECT_FALSE(host.machine.Attaching());
}

}  // namespace
}  // namespace longwire::kd::testing
