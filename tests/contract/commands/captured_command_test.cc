#include "transport/captured_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace longwire {
namespace {

using std::chrono::milliseconds;

Result<CapturedOutput> Shell(const std::string& script, milliseconds limit = milliseconds(10'000),
                             std::size_t max_output = 100'000) {
  return RunCaptured(std::vector<std::string>{"sh", "-c", script}, limit, max_output);
}

TEST(RunCaptured, ReturnsWhatTheCommandWroteAndItsExitCode) {
  const auto captured = Shell("echo out; echo err >&2; exit 7");
  ASSERT_TRUE(captured);
  EXPECT_EQ(captured->output, "out\n");
  EXPECT_EQ(captured->errors, "err\n");
  EXPECT_EQ(captured->exit_code, 7);
}

TEST(RunCaptured, ASignalCountsAsInAShell) {
  const auto captured = Shell("kill -TERM $$");
  ASSERT_TRUE(captured);
  EXPECT_EQ(captured->exit_code, 128 + 15);
}

TEST(RunCaptured, TheCommandHasNoInput) {
  const auto captured = Shell("cat; echo end");
  ASSERT_TRUE(captured);
  EXPECT_EQ(captured->output, "end\n");
}

TEST(RunCaptured, AMissingCommandIsNotFound) {
  const auto captured =
      RunCaptured(std::vector<std::string>{"longwire-no-such-command"}, milliseconds(1000), 10);
  ASSERT_FALSE(captured);
  EXPECT_EQ(captured.error().code, Errc::kNotFound);
}

TEST(RunCaptured, ACommandThatNeverEndsIsKilledWithItsChildren) {
  for (const char* script : {"sleep 1000 & wait", "exec 1>&- 2>&-; sleep 1000", "exec 1>&-; sleep 1000"}) {
    const auto before = std::chrono::steady_clock::now();
    const auto captured = Shell(script, milliseconds(200));
    ASSERT_FALSE(captured) << script;
    EXPECT_EQ(captured.error().code, Errc::kTimedOut);
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(8));
  }
}

TEST(RunCaptured, EndlessOutputIsCutOff) {
  const auto captured = Shell("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done");
  ASSERT_FALSE(captured);
  EXPECT_EQ(captured.error().code, Errc::kLimitExceeded);
}

TEST(RunCaptured, MuchOnStandardErrorNeitherBlocksNorIsKept) {
  const auto captured = Shell("head -c 300000 /dev/zero >&2; echo done");
  ASSERT_TRUE(captured);
  EXPECT_EQ(captured->output, "done\n");
  EXPECT_LE(captured->errors.size(), 4096u);
}

TEST(RunCaptured, OutputAtTheLimitIsWhole) {
  const auto captured = Shell("head -c 100000 /dev/zero");
  ASSERT_TRUE(captured);
  EXPECT_EQ(captured->output.size(), 100'000u);
}

}  // namespace
}  // namespace longwire
