#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

struct Outcome {
  std::string out;
  int exit_code = -1;
};

/// The machine runs with its serial port unused; kd has nothing but QEMU's gdb stub.
class StubSession : public testing::TestWithParam<char> {
 protected:
  void SetUp() override {
    std::string error;
    machine_ = TestMachine::Start({.variant = GetParam(), .gdb_stub = true}, &error);
    ASSERT_TRUE(machine_) << error;
    // Without KD nothing tells when the kernel is up: ask until it is.
    for (int i = 0; i < 30; ++i) {
      if (Run("lm;qd").out.find("nt  ") != std::string::npos) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    FAIL() << "no kernel was found: " << Run("lm;qd").out;
  }
  Outcome Run(const std::string& commands, const std::string& option = "-kx",
              const std::string& link = "exdi:gdb=") {
    const std::string command = "timeout -s KILL 60 '" + std::string(KD_PATH) + "' -bonc -kqm -y '" +
                                machine_->symbol_directory() + "' " + option + " '" + link +
                                machine_->stub_path() + "' -c '" + commands + "' </dev/null 2>&1";
    Outcome outcome;
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return outcome;
    char buffer[4096];
    for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
      outcome.out.append(buffer, got);
    }
    const int status = ::pclose(pipe);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
  }
  std::unique_ptr<TestMachine> machine_;
};

TEST_P(StubSession, FindsTheKernelAndReadsIt) {
  const Outcome outcome = Run("lm;r;k;db @rip L4;dt nt!_LIST_ENTRY;!process 0 0;qd");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("(private pdb symbols)")) << "nt of lm";
  EXPECT_THAT(outcome.out, HasSubstr("rip=fffff8"));
  EXPECT_THAT(outcome.out, HasSubstr("nt!"));
  EXPECT_THAT(outcome.out, HasSubstr("Flink"));
  EXPECT_THAT(outcome.out, HasSubstr("PROCESS "));
}

TEST_P(StubSession, BreakpointsAndStepsWork) {
  const Outcome outcome = Run("bp nt!KdCheckBreakIn;g;t;p;g;bc *;qd", "-k", "gdb:server=");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
  const std::size_t first = outcome.out.find("Breakpoint 0 hit\nnt!KdCheckBreakIn:\n");
  ASSERT_NE(first, std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("Breakpoint 0 hit\nnt!KdCheckBreakIn:\n", first + 1), std::string::npos)
      << outcome.out;
}

TEST_P(StubSession, DataBreakpointsStopBehindTheWrite) {
  const std::string ticks = GetParam() == 'a' ? "lwdemo!g_Ticks" : "quartz!g_Ticks";
  const Outcome outcome = Run("ba w8 " + ticks + ";g;r;bc *;qd");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("Breakpoint 0 hit"));
}

/// What one session left behind does not disturb the next, and the machine ran between them.
TEST_P(StubSession, ASecondSessionFollowsTheFirst) {
  EXPECT_EQ(Run("bp nt!KdCheckBreakIn;qd").exit_code, 0);
  const Outcome outcome = Run("bl;lm;qd");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("nt "));
}

INSTANTIATE_TEST_SUITE_P(Variants, StubSession, testing::Values('a', 'b'));

}  // namespace
}  // namespace longwire::test
