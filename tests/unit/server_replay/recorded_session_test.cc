#include <gtest/gtest.h>

#include "tests/unit/server_replay/recorded_line.h"

namespace longwire::test {
namespace {

using kd::PacketType;

TEST(RecordedSession, StopsDivideItAndPrintsBelongToTheRunBefore) {
  RecordedLine line;
  line.FromTarget(PacketType::kDebugIo, Print('a'));
  line.FromTarget(PacketType::kStateChange64, Stop(1));
  line.FromHost(kd::EncodeContinue(0, kd::kContinue));
  line.FromTarget(PacketType::kDebugIo, Print('b'));
  line.FromTarget(PacketType::kStateChange64, Stop(2));
  const auto& acts = line.session.acts();
  ASSERT_EQ(acts.size(), 2u);
  EXPECT_EQ(acts[0].running.at(0).payload, Print('a'));
  EXPECT_EQ(acts[0].stop->payload, Stop(1));
  EXPECT_EQ(acts[1].running.at(0).payload, Print('b'));
  EXPECT_EQ(acts[1].stop->payload, Stop(2));
}

TEST(RecordedSession, WhatWasSentAgainCountsOnce) {
  RecordedLine line;
  const kd::Bytes again = kd::EncodeDataPacket(PacketType::kStateChange64, kd::kInitialPacketId, Stop(1));
  line.FromTarget(PacketType::kStateChange64, Stop(1));
  line.Add(recording::Entry::Kind::kFromTarget, again);
  line.Add(recording::Entry::Kind::kFromTarget, again);
  EXPECT_EQ(line.session.acts().size(), 1u);
  EXPECT_EQ(line.session.packets(), 1u);
}

TEST(RecordedSession, JunkAndDamagedPacketsAreLeftOut) {
  RecordedLine line;
  line.Add(recording::Entry::Kind::kFromTarget, kd::Bytes(500, std::byte{0x41}));
  kd::Bytes damaged = kd::EncodeDataPacket(PacketType::kDebugIo, kd::kInitialPacketId, Print('x'));
  damaged[20] ^= std::byte{1};
  line.Add(recording::Entry::Kind::kFromTarget, damaged);
  line.FromTarget(PacketType::kDebugIo, Print('a'));
  ASSERT_EQ(line.session.acts().at(0).running.size(), 1u);
  EXPECT_EQ(line.session.acts()[0].running[0].payload, Print('a'));
}

TEST(RecordedSession, MemoryBelongsToTheStopAtWhichItWasRead) {
  RecordedLine line;
  line.FromTarget(PacketType::kStateChange64, Stop(1));
  line.FromHost(kd::EncodeReadVirtual(0, 0x1000, 4));
  line.FromTarget(PacketType::kStateManipulate, ReplyOfRead(0x1000, kd::Bytes(4, std::byte{7})));
  EXPECT_TRUE(line.session.acts()[0].virtual_memory.Knows(0x1003));
  EXPECT_EQ(line.session.acts()[0].virtual_memory.At(0x1003), std::byte{7});
  EXPECT_FALSE(line.session.acts()[0].virtual_memory.Knows(0x1004));
}

TEST(RecordedSession, TheSameQuestionHasTheSameKeyWhateverElseTheRequestSays) {
  kd::Bytes first = kd::EncodeGetContext(1), second = first;
  kd::Store(std::span(second), 8, std::uint32_t{0});
  kd::Store(std::span(second), 4, std::uint16_t{25});
  EXPECT_EQ(RecordedSession::Key(first), RecordedSession::Key(second));
  EXPECT_NE(RecordedSession::Key(first), RecordedSession::Key(kd::EncodeGetContext(2)));
  EXPECT_NE(RecordedSession::Key(kd::EncodeReadMsr(0, 1)), RecordedSession::Key(kd::EncodeReadMsr(0, 2)));
}

}  // namespace
}  // namespace longwire::test
