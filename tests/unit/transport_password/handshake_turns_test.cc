#include "transport/handshake_turns.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;
using Time = HandshakeTurns::Time;

class HandshakeTurnsTest : public testing::Test {
 protected:
  /// 10 a second, 5 at once; of one address 2 and 2.
  HandshakeTurns turns_{{10, 5, 2, 2}};
  Time now_{std::chrono::hours(7)};

  void Join(const std::string& host, int count) {
    for (int i = 0; i < count; ++i) turns_.Join(host);
  }
  int Granted() {
    int count = 0;
    while (turns_.Next(now_)) ++count;
    return count;
  }
};

TEST_F(HandshakeTurnsTest, OneAddressHasItsBurstAndThenItsRate) {
  Join("a", 20);
  EXPECT_EQ(Granted(), 2);
  EXPECT_EQ(turns_.wake(now_), now_ + milliseconds(500));
  now_ += milliseconds(499);
  EXPECT_EQ(Granted(), 0);
  now_ += milliseconds(1);
  EXPECT_EQ(Granted(), 1);
  now_ += seconds(10);
  EXPECT_EQ(Granted(), 2) << "no more than the burst is saved up";
}

TEST_F(HandshakeTurnsTest, AllTogetherHaveABurstAndARate) {
  for (int i = 0; i < 40; ++i) Join("host" + std::to_string(i), 1);
  EXPECT_EQ(Granted(), 5);
  EXPECT_EQ(turns_.wake(now_), now_ + milliseconds(100));
  int total = 0;
  for (int i = 0; i < 20; ++i) {
    now_ += milliseconds(100);
    total += Granted();
  }
  EXPECT_EQ(total, 20);
  EXPECT_EQ(turns_.waiting(), 15u);
}

TEST_F(HandshakeTurnsTest, AnAddressAtItsLimitDoesNotHoldOthersUp) {
  Join("attacker", 30);
  EXPECT_EQ(Granted(), 2);
  const auto honest = turns_.Join("honest");
  EXPECT_EQ(turns_.Next(now_), honest);
}

TEST_F(HandshakeTurnsTest, WhoWasSeldomThereGoesFirst) {
  for (int i = 0; i < 30; ++i) Join("host" + std::to_string(i), 3);
  for (int i = 0; i < 30; ++i) {
    (void)Granted();
    now_ += milliseconds(100);
  }
  // All of them had a turn within the last seconds. They keep coming, and the one that is new needs one
  // place.
  const auto honest = turns_.Join("honest");
  Join("host1", 3);
  EXPECT_EQ(turns_.Next(now_), honest);
  // One that had a turn and proved itself is as new.
  turns_.Proved("honest");
  const auto again = turns_.Join("honest");
  Join("host2", 3);
  now_ += milliseconds(100);
  EXPECT_EQ(turns_.Next(now_), again);
}

TEST_F(HandshakeTurnsTest, OfOneAddressTheNewestGoesFirstAndWhoLeftDoesNotCount) {
  const auto oldest = turns_.Join("a");
  const auto gone = turns_.Join("a");
  const auto newest = turns_.Join("a");
  EXPECT_EQ(turns_.Next(now_), newest);
  turns_.Leave(gone);
  EXPECT_EQ(turns_.Next(now_), oldest);
  EXPECT_EQ(turns_.wake(now_), Time::max());
  turns_.Leave(oldest);
}

TEST_F(HandshakeTurnsTest, RemembersABoundedNumberOfAddressesForAWhile) {
  HandshakeTurns many({100'000, 100'000, 2, 2});
  for (std::size_t i = 0; i < HandshakeTurns::kMostHosts + 100; ++i) {
    many.Join(std::to_string(i));
    EXPECT_TRUE(many.Next(now_));
  }
  EXPECT_EQ(many.hosts(), HandshakeTurns::kMostHosts);
  now_ += seconds(61);
  many.Join("x");
  EXPECT_TRUE(many.Next(now_));
  EXPECT_EQ(many.hosts(), 1u);
}

}  // namespace
}  // namespace longwire
