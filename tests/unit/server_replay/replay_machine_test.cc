#include "server/replay/replay_machine.h"

#include <gtest/gtest.h>

#include "proto/kd/link_machine.h"
#include "tests/unit/server_replay/recorded_line.h"

namespace longwire::test {
namespace {

using kd::LinkEvent;
using kd::PacketType;

/// A real host end and the replay, joined without loss; time stands still unless Wait() is called.
struct Playback {
  explicit Playback(const RecordedSession& session, double speed = 0)
      : replay(session, speed), host(kd::Timers::ForPipe()) {
    host.Attach(now, kd::LinkMachine::AttachMode::kListen);
    replay.Start(now);
    Carry();
  }

  void Carry() {
    for (int quiet = 0; quiet < 2;) {
      const kd::Bytes there = host.TakeOutput(), back = replay.TakeOutput();
      quiet = there.empty() && back.empty() ? quiet + 1 : 0;
      if (!there.empty()) replay.Receive(now, there);
      if (!back.empty()) host.Receive(now, back);
      for (LinkEvent& event : host.TakeEvents()) events.push_back(std::move(event));
    }
  }
  void Wait(kd::Duration time) {
    now += time;
    replay.Tick(now);
    host.Tick(now);
    Carry();
  }
  /// The reply of the target, empty when there was none.
  kd::Bytes Ask(const kd::Bytes& request) {
    events.clear();
    if (!host.SendRequest(now, request)) return {};
    Carry();
    for (const LinkEvent& event : events) {
      if (event.kind == LinkEvent::Kind::kRequestReply) return event.payload;
    }
    return {};
  }
  void Continue() {
    events.clear();
    ASSERT_TRUE(host.SendNoReply(now, kd::EncodeContinue(0, kd::kContinue)));
    Carry();
  }
  std::vector<kd::Bytes> Heard(PacketType type) const {
    std::vector<kd::Bytes> payloads;
    for (const LinkEvent& event : events) {
      if (event.kind == LinkEvent::Kind::kDataReceived && event.type == type)
        payloads.push_back(event.payload);
    }
    return payloads;
  }

  kd::TimePoint now{std::chrono::hours(1)};
  ReplayMachine replay;
  kd::LinkMachine host;
  std::vector<LinkEvent> events;
};

RecordedSession TwoStops() {
  RecordedLine line;
  line.FromTarget(PacketType::kStateChange64, Stop(1));
  line.FromHost(kd::EncodeReadVirtual(0, 0x1000, 4));
  line.FromTarget(PacketType::kStateManipulate, ReplyOfRead(0x1000, kd::Bytes(4, std::byte{7})));
  line.FromHost(kd::EncodeContinue(0, kd::kContinue));
  line.FromTarget(PacketType::kDebugIo, Print('b'));
  line.seconds = 3;
  line.FromTarget(PacketType::kStateChange64, Stop(2));
  return std::move(line.session);
}

TEST(ReplayMachine, StopsAndPrintsAsTheTargetDid) {
  const RecordedSession session = TwoStops();
  Playback playback(session);
  EXPECT_EQ(playback.Heard(PacketType::kStateChange64), (std::vector<kd::Bytes>{Stop(1)}));
  playback.Continue();
  EXPECT_EQ(playback.Heard(PacketType::kDebugIo), (std::vector<kd::Bytes>{Print('b')}));
  EXPECT_EQ(playback.Heard(PacketType::kStateChange64), (std::vector<kd::Bytes>{Stop(2)}));
  EXPECT_FALSE(playback.replay.Over());
  playback.Continue();
  EXPECT_TRUE(playback.replay.Over());
}

TEST(ReplayMachine, AnswersPartsOfWhatWasReadAndNothingElse) {
  const RecordedSession session = TwoStops();
  Playback playback(session);
  const kd::Bytes part = playback.Ask(kd::EncodeReadVirtual(0, 0x1002, 4));
  const auto reply = kd::DecodeReply(part);
  ASSERT_TRUE(reply);
  const kd::ReadResult read = kd::DecodeRead(*reply, 4);
  EXPECT_FALSE(read.complete);
  EXPECT_EQ(read.data.size(), 2u);
  const kd::Bytes nothing = playback.Ask(kd::EncodeReadVirtual(0, 0x2000, 4));
  EXPECT_FALSE(kd::DecodeReply(nothing)->Succeeded());
}

TEST(ReplayMachine, MemoryOfAnEarlierStopIsStillThere) {
  const RecordedSession session = TwoStops();
  Playback playback(session);
  playback.Continue();
  const kd::Bytes answer = playback.Ask(kd::EncodeReadVirtual(0, 0x1000, 4));
  EXPECT_TRUE(kd::DecodeRead(*kd::DecodeReply(answer), 4).complete);
}

TEST(ReplayMachine, AResetBringsTheStopAgain) {
  const RecordedSession session = TwoStops();
  Playback playback(session);
  playback.events.clear();
  playback.host.Reset(playback.now);
  playback.Carry();
  EXPECT_EQ(playback.Heard(PacketType::kStateChange64), (std::vector<kd::Bytes>{Stop(1)}));
  EXPECT_FALSE(playback.Ask(kd::EncodeReadVirtual(0, 0x1000, 4)).empty());
}

TEST(ReplayMachine, SendsAgainWhatIsNotAcknowledged) {
  const RecordedSession session = TwoStops();
  ReplayMachine replay(session, 0);
  kd::TimePoint now{std::chrono::hours(1)};
  replay.Start(now);
  const kd::Bytes first = replay.TakeOutput();
  ASSERT_FALSE(first.empty());
  ASSERT_TRUE(replay.Deadline());
  replay.Tick(*replay.Deadline());
  EXPECT_EQ(replay.TakeOutput(), first);
}

TEST(ReplayMachine, KeepsTheRecordedTimeAtItsSpeed) {
  const RecordedSession session = TwoStops();
  Playback playback(session, 2.0);
  playback.Continue();
  EXPECT_TRUE(playback.Heard(PacketType::kStateChange64).empty());
  playback.Wait(std::chrono::milliseconds(1400));
  EXPECT_TRUE(playback.Heard(PacketType::kStateChange64).empty());
  playback.Wait(std::chrono::milliseconds(200));
  EXPECT_EQ(playback.Heard(PacketType::kStateChange64), (std::vector<kd::Bytes>{Stop(2)}));
}

}  // namespace
}  // namespace longwire::test
