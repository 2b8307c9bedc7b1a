#include "proto/mux/line_mux.h"

#include <gtest/gtest.h>

#include <random>

namespace longwire::mux {
namespace {

using Bytes = std::vector<std::byte>;

Bytes Pattern(std::size_t size, unsigned seed) {
  Bytes bytes(size);
  std::uint32_t state = seed;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

/// Two ends, a line between them and a clock that only the test moves. `lose`: how many of 10000 bytes are
/// lost.
class LineMuxTest : public testing::Test {
 protected:
  void Carry(LineMux& from, LineMux& to, std::size_t frames) {
    for (; frames > 0; --frames) {
      Bytes bytes = from.NextBytes(now_);
      if (bytes.empty()) return;
      ++sent_;
      std::erase_if(bytes, [&](std::byte) { return random_() % 10'000 < lose_; });
      to.Feed(bytes, now_);
    }
  }

  /// A few frames each way, and time goes on.
  void Step(milliseconds time = milliseconds(20)) {
    Carry(near_, far_, 4);
    Carry(far_, near_, 4);
    now_ += time;
    near_.Tick(now_);
    far_.Tick(now_);
  }

  struct Ends {
    SessionKey near, far;
  };
  Ends Connect(std::uint8_t channel, std::uint32_t number = 1) {
    far_.Listen(channel);
    const auto key = near_.Open(channel, number, now_);
    EXPECT_TRUE(key);
    std::optional<SessionKey> taken;
    for (int i = 0; i < 1000 && (!taken || !near_.Find(*key)->is_open()); ++i) {
      Step();
      if (!taken) taken = far_.TakeIncoming(channel);
    }
    EXPECT_TRUE(taken);
    return {*key, taken.value_or(SessionKey{})};
  }

  /// Sends `data` through and returns what arrived.
  Bytes Send(const SessionKey& from, const SessionKey& to, const Bytes& data) {
    Bytes arrived;
    std::size_t written = 0;
    for (int i = 0; i < 200'000 && arrived.size() < data.size(); ++i) {
      written += near_.Find(from)->Write(std::span(data).subspan(written));
      Step();
      Drain(to, arrived);
    }
    return arrived;
  }
  void Drain(const SessionKey& from, Bytes& into) {
    Bytes some(5000);
    Session* session = far_.Find(from);
    if (session == nullptr) return;
    const std::size_t count = session->Read(some);
    into.insert(into.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
  }

  std::minstd_rand random_{7};
  unsigned lose_ = 0;
  std::uint64_t sent_ = 0;
  Time now_{};
  LineMux near_{TimingFor(115'200)}, far_{TimingFor(115'200)};
};

TEST_F(LineMuxTest, CarriesAStreamThatIsLongerThanTheWindow) {
  const auto [near, far] = Connect(5);
  const Bytes data = Pattern(10 * Session::kWindow + 1, 1);
  EXPECT_EQ(Send(near, far, data), data);
  // Every payload byte went over the line once.
  EXPECT_LT(sent_, 3 * data.size() / kMaxPayload);
}

TEST_F(LineMuxTest, CarriesAStreamOverALineThatLosesBytes) {
  lose_ = 5;  // one in 2000: every fourth full frame
  const auto [near, far] = Connect(5);
  const Bytes data = Pattern(200'000, 2);
  EXPECT_EQ(Send(near, far, data), data);
  EXPECT_GT(far_.damaged() + near_.damaged(), 50u);
}

TEST_F(LineMuxTest, TheEndOfAStreamIsDeliveredAndTheOtherDirectionGoesOn) {
  lose_ = 5;
  const auto [near, far] = Connect(5);
  near_.Find(near)->Write(Pattern(3000, 3));
  near_.Find(near)->ShutdownWrite();
  Bytes arrived;
  for (int i = 0; i < 1000 && !far_.Find(far)->ended(); ++i) {
    Step();
    Drain(far, arrived);
  }
  EXPECT_EQ(arrived, Pattern(3000, 3));
  EXPECT_TRUE(far_.Find(far)->ended());
  EXPECT_FALSE(near_.Find(near)->ended());
  far_.Find(far)->Write(Pattern(100, 4));
  Bytes back(1000);
  std::size_t count = 0;
  for (int i = 0; i < 1000 && count == 0; ++i) {
    Step();
    count = near_.Find(near)->Read(back);
  }
  EXPECT_EQ(count, 100u);
}

TEST_F(LineMuxTest, SessionsTakeTurnsFrameByFrame) {
  const auto first = Connect(1), second = Connect(2), third = Connect(2, 9);
  for (const auto& ends : {first, second, third}) {
    EXPECT_EQ(near_.Find(ends.near)->Write(Pattern(Session::kWindow, 5)), Session::kWindow);
  }
  std::map<std::uint32_t, int> frames;
  FrameReader reader;
  for (int i = 0; i < 60; ++i) {
    reader.Feed(near_.NextBytes(now_), [&](const Frame& frame) {
      ASSERT_EQ(frame.type, FrameType::kData);
      ++frames[frame.channel * 100u + frame.session];
    });
  }
  EXPECT_EQ(frames.size(), 3u);
  for (const auto& [session, count] : frames) EXPECT_EQ(count, 20) << session;
}

TEST_F(LineMuxTest, AReaderThatStopsHoldsUpItsOwnSessionOnly) {
  const auto stuck = Connect(1), other = Connect(2);
  std::size_t taken = 0;
  for (int i = 0; i < 500; ++i) {
    taken += near_.Find(stuck.near)->Write(Pattern(1000, 6));
    Step();
  }
  EXPECT_LE(taken, 2 * Session::kWindow) << "one window at each end";
  const Bytes data = Pattern(50'000, 7);
  EXPECT_EQ(Send(other.near, other.far, data), data);
  Bytes arrived;
  for (int i = 0; i < 2000 && arrived.size() < taken; ++i) {
    Drain(stuck.far, arrived);
    Step();
  }
  EXPECT_EQ(arrived.size(), taken) << "and goes on when it reads again";
}

TEST_F(LineMuxTest, AChannelWithoutAListenerIsRefused) {
  const auto key = near_.Open(9, 1, now_);
  Step();
  Step();
  ASSERT_TRUE(near_.Find(*key)->failure());
  EXPECT_EQ(near_.Find(*key)->failure()->code, Errc::kUnreachable);
  EXPECT_NE(near_.Find(*key)->failure()->message.find("channel 9"), std::string::npos);
}

TEST_F(LineMuxTest, AnEndThatStartedAnewEndsTheOldSessions) {
  const auto [near, far] = Connect(5);
  far_ = LineMux(TimingFor(115'200));
  near_.Find(near)->Write(Pattern(10, 1));
  for (int i = 0; i < 10; ++i) Step();
  ASSERT_TRUE(near_.Find(near)->failure());
  EXPECT_EQ(near_.Find(near)->failure()->code, Errc::kIo);
}

TEST_F(LineMuxTest, ACutLineEndsTheSessionAfterTheSilenceLimit) {
  const auto [near, far] = Connect(5);
  lose_ = 10'000;
  const Time cut = now_;
  while (!near_.Find(near)->failure() && now_ - cut < std::chrono::minutes(5)) Step(milliseconds(500));
  ASSERT_TRUE(near_.Find(near)->failure());
  EXPECT_EQ(near_.Find(near)->failure()->code, Errc::kLinkFailed);
  EXPECT_GE(now_ - cut, TimingFor(115'200).silence_limit - milliseconds(1000));
}

TEST_F(LineMuxTest, AQuietSessionLives) {
  const auto [near, far] = Connect(5);
  for (int i = 0; i < 600; ++i) Step(milliseconds(1000));
  EXPECT_FALSE(near_.Find(near)->failure());
  EXPECT_FALSE(far_.Find(far)->failure());
}

TEST_F(LineMuxTest, WhatWasWrittenBeforeTheCloseArrives) {
  lose_ = 5;
  const auto [near, far] = Connect(5);
  near_.Find(near)->Write(Pattern(Session::kWindow, 8));
  near_.Find(near)->Abandon();
  Bytes arrived;
  for (int i = 0; i < 2000 && !far_.Find(far)->ended(); ++i) {
    Step();
    Drain(far, arrived);
  }
  EXPECT_EQ(arrived, Pattern(Session::kWindow, 8));
  for (int i = 0; i < 2000 && near_.Find(near); ++i) Step();
  EXPECT_TRUE(near_.idle()) << "nothing is left of it";
}

TEST_F(LineMuxTest, AStormOfOpensIsBounded) {
  far_.Listen(1);
  for (std::uint32_t i = 0; i < 5000; ++i) {
    Frame open;
    open.type = FrameType::kOpen;
    open.from_opener = true;
    open.channel = static_cast<std::uint8_t>(i % 3);
    open.session = i;
    open.position = kMuxVersion;
    far_.Feed(EncodeFrame(open), now_);
  }
  std::size_t taken = 0;
  while (far_.TakeIncoming(1)) ++taken;
  EXPECT_EQ(taken, LineMux::kMaxIncoming);
  std::size_t frames = 0;
  while (!far_.NextBytes(now_).empty()) ++frames;
  EXPECT_LE(frames, LineMux::kMaxIncoming + LineMux::kMaxResets);
}

TEST_F(LineMuxTest, AcknowledgementsOfWhatWasNeverSentChangeNothing) {
  const auto [near, far] = Connect(5);
  Frame ack;
  ack.type = FrameType::kAck;
  ack.channel = 5;
  ack.session = 1;
  for (const std::uint32_t position : {1u, 70'000u, 0x80000000u, 0xFFFFFFFFu}) {
    ack.position = position;
    ack.limit = position + 0x70000000;
    near_.Feed(EncodeFrame(ack), now_);
  }
  const Bytes data = Pattern(40'000, 9);
  EXPECT_EQ(Send(near, far, data), data);
}

}  // namespace
}  // namespace longwire::mux
