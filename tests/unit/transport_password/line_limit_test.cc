#include "transport/line_limit.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

TEST(LineLimit, LeavesOutWhatIsTooMuchAndCountsIt) {
  LineLimit limit;
  LineLimit::Time now{std::chrono::hours(5)};
  for (std::size_t i = 0; i < LineLimit::kLines; ++i) EXPECT_EQ(limit.Take(now), 0u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limit.Take(now), std::nullopt);
  now += LineLimit::kRefill;
  EXPECT_EQ(limit.Take(now), 1000u);
  EXPECT_EQ(limit.Take(now), std::nullopt);
  now += std::chrono::hours(1);
  EXPECT_EQ(limit.Take(now), 1u);
  for (std::size_t i = 1; i < LineLimit::kLines; ++i) EXPECT_EQ(limit.Take(now), 0u);
  EXPECT_EQ(limit.Take(now), std::nullopt);
}

}  // namespace
}  // namespace longwire
