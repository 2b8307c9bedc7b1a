#include "proto/shared_moment.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;
using namespace std::chrono_literals;

TEST(SharedMoment, IsTheLastOfItsStepUpToTheOneWanted) {
  EXPECT_EQ(SharedMoment(TimePoint(1300ms), 250ms), TimePoint(1250ms));
  EXPECT_EQ(SharedMoment(TimePoint(1250ms), 250ms), TimePoint(1250ms));
  EXPECT_EQ(SharedMoment(TimePoint(1249ms), 250ms), TimePoint(1000ms));
  EXPECT_EQ(SharedMoment(TimePoint(1249ms), 0ms), TimePoint(1249ms));
}

TEST(SharedMoment, ComesAtItsRateThoughTimersAreLate) {
  TimePoint now(1000ms);
  int turns = 0;
  for (; now < TimePoint(11s); ++turns) now = SharedMoment(now + 500ms, 500ms) + 1us;
  EXPECT_EQ(turns, 20);
}

}  // namespace
}  // namespace longwire
