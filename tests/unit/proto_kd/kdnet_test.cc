// Packet numbering of KDNET (kd-protocol.md 6.7, 6.9). The datagrams are in tests/unit/proto_kdnet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/kd/manipulate.h"
#include "tests/unit/proto_kd/simulated_host.h"

namespace longwire::kd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint32_t kHost = 0x80000000;

Timers Kdnet() { return Timers::ForKdnet(1416); }

Bytes Print(const std::string& text) {
  Bytes payload(16);
  Store(std::span<std::byte>(payload), 0, std::uint32_t{0x3230});
  Store(std::span<std::byte>(payload), 8, static_cast<std::uint32_t>(text.size()));
  for (const char c : text) payload.push_back(static_cast<std::byte>(c));
  return payload;
}

Bytes ReplyTo(const Bytes& request) {
  Bytes reply = request;
  Store(std::span<std::byte>(reply), 8, std::uint32_t{0});
  return reply;
}

Bytes Reset(std::uint32_t id) { return EncodeControlPacket(PacketType::kReset, id); }

TEST(KdKdnet, N12_IdsWithTheSyncBitAreOrdinary) {
  SimulatedHost host(Kdnet());
  for (const std::uint32_t id : {0x7FEu, 0x800u, 0x802u}) {
    host.FeedData(PacketType::kDebugIo, id, Print("line"));
    EXPECT_EQ(host.output, EncodeControlPacket(PacketType::kAcknowledge, id));
    host.Sent();
  }
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 3", "data 3", "data 3"));
}

TEST(KdKdnet, IdsRiseByTwo) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x60, Print("a"));
  host.Sent();
  for (const std::uint32_t id : {kHost, kHost + 2, kHost + 4}) {
    ASSERT_TRUE(host.machine.SendNoReply(host.now, Bytes(56, std::byte{1})));
    host.Advance({});
    EXPECT_EQ(DecodeHeader(host.output).id, id);
    host.Sent();
    host.FeedAck(id);
  }
}

TEST(KdKdnet, OlderIdIsAcknowledgedOnly) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x60, Print("a"));
  host.FeedData(PacketType::kDebugIo, 0x62, Print("a"));
  host.Sent();
  host.Events();
  host.FeedData(PacketType::kDebugIo, 0x60, Print("a"));
  host.FeedData(PacketType::kDebugIo, 0x62, Print("a"));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 00000060", "ack 00000062"));
  EXPECT_THAT(host.Events(), IsEmpty());
}

TEST(KdKdnet, N13_ReplyAfterALostPacket) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x5E, Print("a"));
  const Bytes request = EncodeReadVirtual(0, 0xFFFFF80000001000, 16);
  ASSERT_TRUE(host.machine.SendRequest(host.now, request));
  host.Advance({});
  host.Sent();
  host.Events();
  // Packet 60 is lost, and the target counts it as acknowledged.
  host.FeedResend();
  EXPECT_THAT(host.Sent(), ElementsAre("data 2 80000000 56"));
  host.FeedAck(kHost);
  host.FeedData(PacketType::kStateManipulate, 0x62, ReplyTo(request));
  EXPECT_EQ(host.output, Reset(kHost + 2));
  host.Sent();
  EXPECT_THAT(host.Events(), IsEmpty());
  host.FeedReset(0x62);
  host.FeedData(PacketType::kStateManipulate, 0x62, ReplyTo(request));
  host.FeedData(PacketType::kStateManipulate, 0x62, ReplyTo(request));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 00000062", "ack 00000062"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "reply"));
  EXPECT_TRUE(host.machine.CanSend());
  host.FeedData(PacketType::kDebugIo, 0x64, Print("b"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdKdnet, N13_RequestWhoseReplyIsGoneFails) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x5E, Print("a"));
  ASSERT_TRUE(host.machine.SendRequest(host.now, EncodeReadVirtual(0, 0x1000, 16)));
  host.Advance({});
  host.FeedAck(kHost);
  host.Sent();
  host.Events();
  host.FeedData(PacketType::kDebugIo, 0x62, Print("b"));
  EXPECT_THAT(host.Events(), ElementsAre("failed link-failed"));
  EXPECT_EQ(host.output, Reset(kHost + 2));
  host.Sent();
  host.FeedReset(0x62);
  host.FeedData(PacketType::kDebugIo, 0x62, Print("b"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 3"));
  ASSERT_TRUE(host.machine.SendRequest(host.now, EncodeReadVirtual(0, 0x1000, 16)));
  host.Advance({});
}

TEST(KdKdnet, LostReplyIsAskedForWithoutFailing) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x5E, Print("a"));
  const Bytes request = EncodeReadVirtual(0, 0xFFFFF80000001000, 16);
  ASSERT_TRUE(host.machine.SendRequest(host.now, request));
  host.Advance({});
  host.FeedAck(kHost);
  host.Sent();
  host.Events();
  host.Advance(milliseconds(600));
  EXPECT_EQ(host.output, Reset(kHost + 2));
  host.FeedReset(0x60);
  host.FeedData(PacketType::kStateManipulate, 0x60, ReplyTo(request));
  EXPECT_THAT(host.Events(), ElementsAre("reply"));
}

TEST(KdKdnet, LostAcknowledgeDeliversNothingTwice) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x60, Print("a"));
  host.machine.Reset(host.now);
  host.Advance({});
  host.Sent();
  host.Events();
  host.FeedReset(0x60);
  host.FeedData(PacketType::kDebugIo, 0x60, Print("a"));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 00000060"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized"));
  host.FeedData(PacketType::kDebugIo, 0x62, Print("b"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdKdnet, N14_HostResetCarriesItsNextId) {
  SimulatedHost host(Kdnet());
  host.machine.Attach(host.now, LinkMachine::AttachMode::kReset);
  host.Advance(milliseconds(1));
  EXPECT_EQ(host.output, Reset(kHost));
  host.Sent();
  host.FeedReset(0x926);
  host.FeedData(PacketType::kDebugIo, 0x926, Print("a"));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 00000926"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 3"));
  ASSERT_TRUE(host.machine.SendRequest(host.now, EncodeReadVirtual(0, 0x1000, 16)));
  host.Advance({});
  EXPECT_EQ(DecodeHeader(host.output).id, kHost);
}

TEST(KdKdnet, ResetOfTheTargetIsAnsweredAndThePacketSentAgain) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x60, Print("a"));
  ASSERT_TRUE(host.machine.SendRequest(host.now, EncodeReadVirtual(0, 0x1000, 16)));
  host.Advance({});
  host.Sent();
  host.Events();
  host.FeedReset(0x70);
  Bytes expected = Reset(kHost);
  const Bytes again = EncodeDataPacket(PacketType::kStateManipulate, kHost, EncodeReadVirtual(0, 0x1000, 16));
  expected.insert(expected.end(), again.begin(), again.end());
  EXPECT_EQ(host.output, expected);
  EXPECT_THAT(host.Events(), IsEmpty());
  host.FeedData(PacketType::kDebugIo, 0x70, Print("b"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdKdnet, N19_TenSilentMinutesKeepTheSession) {
  SimulatedHost host(Kdnet());
  host.FeedData(PacketType::kDebugIo, 0x60, Print("a"));
  host.Sent();
  host.Events();
  host.Advance(std::chrono::minutes(10));
  EXPECT_THAT(host.Sent(), IsEmpty());
  EXPECT_THAT(host.Events(), IsEmpty());
  EXPECT_TRUE(host.machine.Synchronized());
  host.FeedData(PacketType::kDebugIo, 0x62, Print("b"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdKdnet, PacketsFitIntoDatagrams) {
  SimulatedHost host(Kdnet());
  const auto sent = host.machine.SendNoReply(host.now, Bytes(1417, std::byte{1}));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Errc::kLimitExceeded);
  EXPECT_TRUE(host.machine.SendNoReply(host.now, Bytes(1416, std::byte{1})));
}

}  // namespace
}  // namespace longwire::kd::testing
