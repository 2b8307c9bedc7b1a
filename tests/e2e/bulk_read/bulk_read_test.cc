#include <gtest/gtest.h>

#include "tests/support/paced_read.h"

namespace longwire::test {
namespace {

/// A 256 KiB read keeps a 115200 baud line busy: at least 95 % of what the protocol allows.
TEST(BulkRead, KeepsTheLineBusy) {
  std::string error;
  const std::optional<double> rate = PacedReadRate('a', 256 << 10, KDSRV_PATH, &error);
  ASSERT_TRUE(rate) << error;
  std::printf("%.0f B/s, %.2f %% of %.0f B/s\n", *rate, 100 * *rate / kPacedMaximum, kPacedMaximum);
  EXPECT_GE(*rate, 0.95 * kPacedMaximum);
  EXPECT_LE(*rate, 3944.0 / 4017 * kPacedBaud / 10) << "the line let through more than it can";
}

}  // namespace
}  // namespace longwire::test
