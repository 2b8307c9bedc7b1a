// Conformance cases of kd-protocol.md 10.1 that concern framing: H04 to H14, H24, H31, H36.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/proto_kd/simulated_host.h"

namespace longwire::kd::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Bytes Join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Bytes Print(std::uint32_t id, std::string_view hex = kE14) {
  return EncodeDataPacket(PacketType::kDebugIo, id, PayloadOf(hex));
}

TEST(KdHost, H04_FlippedPayloadBit) {
  SimulatedHost host;
  host.Stop();
  Bytes damaged = Print(kN1);
  damaged[20] ^= std::byte{1};
  host.Feed(damaged);
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
  EXPECT_THAT(host.Events(), IsEmpty());
  EXPECT_EQ(host.machine.counters().checksum_errors, 1u);
  host.Feed(Print(kN1));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdHost, H05_WrongTrailer) {
  SimulatedHost host;
  host.Stop();
  Bytes damaged = Print(kN1);
  damaged.back() = std::byte{0};
  host.Feed(damaged);
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
  EXPECT_THAT(host.Events(), IsEmpty());
}

TEST(KdHost, H06_CutFrameThenSilence) {
  SimulatedHost host;
  host.Stop();
  const Bytes frame = Print(kN1);
  host.Feed(ByteView(frame).first(20));
  host.Advance(milliseconds(999));
  EXPECT_THAT(host.Sent(), IsEmpty());
  host.Advance(milliseconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
  host.Feed(frame);
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdHost, H07_CutFrameThenGoodFrameAtOnce) {
  SimulatedHost host;
  host.Stop();
  const Bytes frame = Print(kN1);
  const Bytes cut(frame.begin(), frame.begin() + 20);
  host.Feed(Join({cut, frame}));
  host.Advance(seconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("resend", "ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdHost, H07_GoodFrameInsideTheGapOfALongCutFrame) {
  SimulatedHost host;
  host.Stop();
  const Bytes long_frame = EncodeDataPacket(PacketType::kDebugIo, kN1, Bytes(3000));
  host.Feed(ByteView(long_frame).first(20));
  host.Feed(Print(kN1));
  EXPECT_THAT(host.Events(), IsEmpty());
  host.Advance(seconds(1));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
  EXPECT_THAT(host.Sent(), Contains("ack 80800001"));
}

TEST(KdHost, H08_RandomBytesThenStateChange) {
  SimulatedHost host;
  std::mt19937 random(7);
  Bytes junk;
  while (junk.size() < 1000) {
    const auto byte = static_cast<std::byte>(random() & 0xFF);
    if (byte != kDataLeaderByte && byte != kControlLeaderByte) junk.push_back(byte);
  }
  host.Feed(junk);
  host.FeedHex(kE05);
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  EXPECT_EQ(host.machine.counters().junk_bytes, 1000u);
}

TEST(KdHost, H09_SevenLeaderBytes) {
  SimulatedHost host;
  host.FeedHex("303030");
  host.FeedHex(kE05);
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
}

TEST(KdHost, H10_OtherLeaderBytesInFront) {
  SimulatedHost host;
  host.FeedHex("6969");
  host.FeedHex(kE05);
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
}

TEST(KdHost, H11_AbsurdByteCount) {
  SimulatedHost host;
  Go(host);
  host.Feed(Join({FromHex("303030300300ffff0000808000000000"), Print(kN1)}));
  EXPECT_THAT(host.Sent(), ElementsAre("resend", "ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdHost, H11_ByteCountZero) {
  SimulatedHost host;
  Go(host);
  host.Feed(Join({FromHex("30303030030000000000808000000000"), Print(kN1)}));
  EXPECT_THAT(host.Sent(), ElementsAre("resend", "ack 80800001"));
}

TEST(KdHost, H12_LeadersInsideThePayload) {
  SimulatedHost host;
  host.Stop();
  Bytes payload = PayloadOf(kE14);
  const Bytes fake = Join({FromHex("30303030"), FromHex(kE01), FromHex(kE03)});
  payload.insert(payload.end(), fake.begin(), fake.end());
  host.FeedData(PacketType::kDebugIo, kN1, payload);
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  ASSERT_EQ(host.events.size(), 1u);
  EXPECT_EQ(host.events[0].payload, payload);
  EXPECT_EQ(host.machine.counters().resets_received, 0u);
}

TEST(KdHost, H13_OneByteAtATime) {
  SimulatedHost host;
  for (std::byte b : FromHex(kE05)) {
    host.Advance(milliseconds(900));
    host.Feed(ByteView(&b, 1));
  }
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7"));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000"));
}

TEST(KdHost, H14_TwoFramesInOneRead) {
  SimulatedHost host;
  host.Feed(Join({FromHex(kE05), Print(kN1)}));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800000", "ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("synchronized", "data 7", "data 3"));
}

TEST(KdHost, H24_ResetWithAnId) {
  SimulatedHost host;
  host.Stop();
  host.FeedReset(0xDEADBEEF);
  EXPECT_THAT(host.Sent(), ElementsAre("reset"));
  EXPECT_THAT(host.Events(), ElementsAre("linkreset"));
  host.FeedData(PacketType::kStateChange64, kN, PayloadOf(kE05));
  EXPECT_THAT(host.Events(), ElementsAre("data 7"));
}

TEST(KdHost, H31_UnknownPacketType) {
  SimulatedHost host;
  host.Stop();
  host.FeedData(static_cast<PacketType>(12), kN1, Bytes(8));
  EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
  EXPECT_THAT(host.Events(), ElementsAre("dropped"));
  host.Feed(Print(kN));
  EXPECT_THAT(host.Events(), ElementsAre("data 3"));
}

TEST(KdHost, H36_LargestPayloads) {
  for (const std::size_t size : {4000u, 4096u}) {
    SimulatedHost host;
    host.Stop();
    host.FeedData(PacketType::kDebugIo, kN1, Bytes(size, std::byte{0xFF}));
    EXPECT_THAT(host.Sent(), ElementsAre("ack 80800001"));
    ASSERT_EQ(host.events.size(), 1u);
    EXPECT_EQ(host.events[0].payload.size(), size);
  }
  SimulatedHost host;
  host.Stop();
  host.FeedData(PacketType::kDebugIo, kN1, Bytes(4097));
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
}

TEST(KdHost, NoResendBeforeTheFirstGoodPacket) {
  SimulatedHost host;
  for (int i = 0; i < 100; ++i) host.FeedHex("303030300700ffff0000000000000000");
  host.Advance(seconds(5));
  EXPECT_THAT(host.Sent(), IsEmpty());
}

TEST(KdHost, ResendsAreLimitedInRate) {
  SimulatedHost host;
  Go(host);
  for (int i = 0; i < 100; ++i) host.FeedHex("303030300700ffff0000000000000000");
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
  host.Advance(milliseconds(99));
  EXPECT_THAT(host.Sent(), IsEmpty());
  host.Advance(milliseconds(1));
  EXPECT_THAT(host.Sent(), ElementsAre("resend"));
  host.Advance(seconds(5));
  EXPECT_THAT(host.Sent(), IsEmpty());
}

TEST(KdFramer, AllZeroCharactersCostLinearTime) {
  Framer framer(seconds(1));
  const Bytes zeros(1u << 20, kDataLeaderByte);
  const auto before = std::chrono::steady_clock::now();
  framer.Receive(TimePoint(seconds(1)), zeros);
  EXPECT_FALSE(framer.Next().has_value());
  // Quadratic work on 1 MiB would take many minutes; the bound only has to tell the two apart.
  EXPECT_LT(std::chrono::steady_clock::now() - before, seconds(20));
}

TEST(KdFramer, ClearForgetsAnUnfinishedFrame) {
  Framer framer(seconds(1));
  framer.Receive(TimePoint(seconds(1)), ByteView(FromHex(kE05)).first(100));
  ASSERT_TRUE(framer.Deadline().has_value());
  framer.Clear();
  EXPECT_FALSE(framer.Deadline().has_value());
  framer.Receive(TimePoint(seconds(1)), FromHex(kE14));
  const auto item = framer.Next();
  ASSERT_TRUE(item.has_value());
  EXPECT_EQ(item->kind, Framer::Kind::kData);
}

}  // namespace
}  // namespace longwire::kd::testing
