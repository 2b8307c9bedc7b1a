// kdsrv is killed and started again on its port while kd works.
#include <gmock/gmock.h>

#include <csignal>

#include "tests/e2e/acceptance/scene.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kLimit{60};

class SurvivalRestart : public Scene {
 protected:
  void Start(std::vector<std::string> server_options) {
    StartServer(server_options);
    TestMachineOptions options;
    options.break_at_boot = true;
    machine_ = StartMachine(options);
    ASSERT_TRUE(machine_);
    kd_ = AttachedKd(*machine_, {"-bonc", "--wait", "600"});
    kd_->Write("bp lwdemo!DemoLeaf\nbl\n");
    ASSERT_TRUE(kd_->WaitFor("lwdemo!DemoLeaf", kLimit)) << kd_->both();
    ASSERT_TRUE(kd_->WaitFor("kd> ", kLimit)) << kd_->both();
  }
  void KillAndStartAgain(std::vector<std::string> server_options) {
    server_->Signal(SIGKILL);
    ASSERT_TRUE(kd_->WaitFor("trying again", kLimit)) << kd_->both();
    StartServer(server_options, port_);
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<ChildProcess> kd_;
};

TEST_F(SurvivalRestart, TheSessionGoesOnWithItsBreakpoints) {
  Start({});
  KillAndStartAgain({});
  ASSERT_TRUE(kd_->WaitFor("the server was restarted", kLimit)) << kd_->both() << server_->both();
  for (int round = 0; round < 2; ++round) {
    kd_->Write("g\n");
    ASSERT_TRUE(kd_->WaitFor("Breakpoint 0 hit", kLimit)) << kd_->both() << server_->both();
    ASSERT_TRUE(kd_->WaitFor("kd> ", kLimit)) << kd_->both();
  }
  kd_->Write("bc *;qd\n");
  EXPECT_EQ(kd_->Wait(kLimit), 0) << kd_->both();
}

TEST_F(SurvivalRestart, AServerThatForgotIsToldAndTheBreakpointsAreSetAgain) {
  Start({"--keep", "0"});
  KillAndStartAgain({"--keep", "0"});
  ASSERT_TRUE(kd_->WaitFor("the session is over", kLimit)) << kd_->both() << server_->both();
  ASSERT_TRUE(kd_->WaitFor("Breakpoints set again: 1", kLimit)) << kd_->both() << server_->both();
  kd_->Write("g\n");
  EXPECT_TRUE(kd_->WaitFor("Breakpoint 0 hit", kLimit)) << kd_->both() << server_->both();
  kd_->Write("bc *;qd\n");
  EXPECT_EQ(kd_->Wait(kLimit), 0) << kd_->both();
}

TEST_F(SurvivalRestart, AServerThatForgotGetsTheRolesBackThatWereHandedOver) {
  const std::vector<std::string> forgetful = {"--keep", "0", "--state", "none"};
  Start(forgetful);
  // The one that began to drive only watches, and is back first.
  const auto taker = Kd(*machine_, "", {"--take", "--wait", "600"}, ChildProcess::Input::kPipe);
  ASSERT_TRUE(taker->WaitFor("kd> ", kLimit)) << taker->both() << server_->both();
  ASSERT_TRUE(kd_->WaitFor("has taken the target over", kLimit)) << kd_->both();
  taker->Write("bp lwdemo!DemoLeaf;bl\n");
  ASSERT_TRUE(taker->WaitFor("(0001) lwdemo!DemoLeaf", kLimit)) << taker->both();
  taker->Signal(SIGSTOP);
  KillAndStartAgain(forgetful);
  ASSERT_TRUE(kd_->WaitFor("nobody has the link open yet", kLimit)) << kd_->both() << server_->both();
  taker->Signal(SIGCONT);
  ASSERT_TRUE(taker->WaitFor("Breakpoints set again: 1", kLimit)) << taker->both() << server_->both();
  ASSERT_TRUE(kd_->WaitFor("kd> ", kLimit)) << kd_->both() << server_->both();
  kd_->Write("g\n");
  EXPECT_TRUE(kd_->WaitFor("this kd only watches", kLimit)) << kd_->both();
  taker->Write("g\n");
  EXPECT_TRUE(taker->WaitFor("Breakpoint 0 hit", kLimit)) << taker->both() << server_->both();
  kd_->Write("q\n");
  EXPECT_EQ(kd_->Wait(kLimit), 0) << kd_->both();
  taker->Write("bc *;qd\n");
  EXPECT_EQ(taker->Wait(kLimit), 0) << taker->both();
}

}  // namespace
}  // namespace longwire::test
