#include "transport/password_throttle.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;

class PasswordThrottleTest : public testing::Test {
 protected:
  /// One wrong guess, the next begun as soon as this one is answered.
  milliseconds Guess(const std::string& address) {
    const auto wait = throttle_.Begin(address, now_);
    EXPECT_TRUE(wait);
    now_ += wait.value_or(milliseconds(0));
    throttle_.End(address, now_, true);
    return wait.value_or(milliseconds(-1));
  }

  PasswordThrottle throttle_;
  PasswordThrottle::Time now_{};
};

TEST_F(PasswordThrottleTest, SlowsFromTheFourthFailure) {
  now_ += seconds(1000);
  for (const int expected : {0, 0, 0, 1, 2, 4, 8, 16}) EXPECT_EQ(Guess("10.0.0.1"), seconds(expected));
  EXPECT_EQ(Guess("10.0.0.1"), seconds(30));
}

TEST_F(PasswordThrottleTest, OtherAddressesAreNotSlowed) {
  for (int i = 0; i < 6; ++i) Guess("10.0.0.1");
  EXPECT_EQ(Guess("10.0.0.2"), seconds(0));
}

TEST_F(PasswordThrottleTest, ForgetsAfterAMinute) {
  for (int i = 0; i < 5; ++i) Guess("10.0.0.1");
  now_ += seconds(60);
  EXPECT_EQ(Guess("10.0.0.1"), seconds(0));
}

TEST_F(PasswordThrottleTest, SuccessIsNotAFailure) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(throttle_.Begin("10.0.0.1", now_), milliseconds(0));
    throttle_.End("10.0.0.1", now_, false);
  }
  EXPECT_EQ(throttle_.failures("10.0.0.1"), 0u);
}

TEST_F(PasswordThrottleTest, GuessesSideBySideQueueUp) {
  Guess("10.0.0.1");
  seconds last(0);
  std::size_t refused = 0;
  for (int i = 0; i < 40; ++i) {
    const auto wait = throttle_.Begin("10.0.0.1", now_);
    if (!wait) {
      ++refused;
      continue;
    }
    EXPECT_LE(*wait, seconds(60));
    EXPECT_GE(*wait, last);
    last = std::chrono::duration_cast<seconds>(*wait);
  }
  EXPECT_GE(refused, 30u) << "most of a crowd is turned away at once";
}

TEST_F(PasswordThrottleTest, ThousandsOfAddressesThatFailedShutNobodyOut) {
  for (int i = 0; i < 5'000; ++i) Guess("10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
  EXPECT_EQ(throttle_.Begin("192.168.7.2", now_), milliseconds(0));
  for (int i = 0; i < 4; ++i) Guess("10.9.9.9");
  EXPECT_EQ(throttle_.Begin("10.9.9.9", now_), seconds(2));
}

TEST_F(PasswordThrottleTest, ManyClientsAtOnceAreFreeWhileNobodyFailed) {
  for (int i = 0; i < 16; ++i) EXPECT_EQ(throttle_.Begin("10.0.0.1", now_), milliseconds(0));
}

}  // namespace
}  // namespace longwire
