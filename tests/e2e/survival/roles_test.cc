// Several kd processes at one link.
#include <gmock/gmock.h>

#include <csignal>

#include "tests/e2e/acceptance/scene.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kLimit{60};

class SurvivalRoles : public Scene {
 protected:
  void SetUp() override {
    StartServer();
    TestMachineOptions options;
    options.break_at_boot = true;
    machine_ = StartMachine(options);
    ASSERT_TRUE(machine_);
    driver_ = AttachedKd(*machine_, {"-bonc", "--wait", "600"});
  }
  std::unique_ptr<ChildProcess> Another(std::vector<std::string> more) {
    more.insert(more.end(), {"--wait", "600"});
    return Kd(*machine_, "", std::move(more), ChildProcess::Input::kPipe);
  }
  void Say(ChildProcess& kd, const std::string& line, const std::string& answer) {
    kd.Write(line + "\n");
    EXPECT_TRUE(kd.WaitFor(answer, kLimit)) << kd.both() << server_->both();
  }
  void Quit(ChildProcess& kd) {
    kd.Write("q\n");
    EXPECT_EQ(kd.Wait(kLimit), 0) << kd.both();
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<ChildProcess> driver_;
};

TEST_F(SurvivalRoles, AnObserverSeesAndMayNotDrive) {
  const auto observer = Another({"--observe"});
  ASSERT_TRUE(observer->WaitFor("kd> ", kLimit)) << observer->both();
  EXPECT_TRUE(driver_->WaitFor("joined and watches.", kLimit)) << driver_->both();
  Say(*observer, "r rip", "rip=");
  Say(*observer, "g", "this kd only watches; .driver /t takes over");
  Say(*observer, "bp lwdemo!DemoLeaf", "this kd only watches");
  Say(*observer, "ed lwdemo!g_Command 1", "this kd only watches");
  Say(*observer, ".driver", "observer");
  Say(*driver_, "eq lwdemo!g_CommandArgument 0n77", "kd> ");
  Say(*driver_, "ed lwdemo!g_Command 1;bp lwdemo!DemoLeaf;g", "Breakpoint 0 hit");
  EXPECT_TRUE(observer->WaitFor("demo: print 77", kLimit)) << observer->both();
  EXPECT_TRUE(observer->WaitFor("kd> ", kLimit)) << observer->both();
  Quit(*observer);
  EXPECT_TRUE(driver_->WaitFor(" left.", kLimit)) << driver_->both();
  driver_->Write("bc *;qd\n");
  EXPECT_EQ(driver_->Wait(kLimit), 0) << driver_->both();
}

TEST_F(SurvivalRoles, TakingOverTellsTheFormerDriver) {
  const auto taker = Another({"--take"});
  ASSERT_TRUE(taker->WaitFor("kd> ", kLimit)) << taker->both() << server_->both();
  EXPECT_TRUE(driver_->WaitFor("has taken the target over", kLimit)) << driver_->both();
  Say(*driver_, "g", "this kd only watches");
  Say(*driver_, "r rip", "rip=");
  Say(*taker, "bp lwdemo!DemoLeaf;g", "Breakpoint 0 hit");
  // And back, by command.
  Say(*driver_, ".driver /t", "This kd has taken the target over and drives it now.");
  EXPECT_TRUE(taker->WaitFor("has taken the target over", kLimit)) << taker->both();
  Say(*taker, "g", "this kd only watches");
  Quit(*taker);
  driver_->Write("qd\n");
  EXPECT_EQ(driver_->Wait(kLimit), 0) << driver_->both();
}

TEST_F(SurvivalRoles, WhoTakesTheLinkBackAtAStopHasItsBreakpointsAgain) {
  Say(*driver_, "bp lwdemo!DemoLeaf;bl", "lwdemo!DemoLeaf");
  const auto taker = Another({"--take"});
  ASSERT_TRUE(taker->WaitFor("kd> ", kLimit)) << taker->both() << server_->both();
  EXPECT_TRUE(driver_->WaitFor("has taken the target over", kLimit)) << driver_->both();
  Say(*driver_, ".driver /t", "This kd has taken the target over and drives it now.");
  Say(*driver_, "g", "Breakpoint 0 hit");
  EXPECT_THAT(driver_->both(), HasSubstr("Breakpoints set again: 1"));
  Quit(*taker);
  driver_->Write("bc *;qd\n");
  EXPECT_EQ(driver_->Wait(kLimit), 0) << driver_->both();
}

TEST_F(SurvivalRoles, WithoutAnOptionALinkInUseIsRefused) {
  const auto second = Another({});
  EXPECT_EQ(second->Wait(kLimit), 6) << second->both();
  EXPECT_THAT(second->error(), HasSubstr("in use"));
}

TEST_F(SurvivalRoles, WhoWaitsInLineGetsTheLinkWhenItIsFree) {
  const auto waiting = Another({"--queue"});
  ASSERT_TRUE(waiting->WaitFor("place 1 in the line", kLimit)) << waiting->both();
  const auto second = Another({"--queue"});
  ASSERT_TRUE(second->WaitFor("place 2 in the line", kLimit)) << second->both();
  second->Signal(SIGINT);
  EXPECT_EQ(second->Wait(kLimit), 130) << second->both();
  Say(*driver_, ".driver", "waits for the link");
  Quit(*driver_);
  ASSERT_TRUE(waiting->WaitFor("kd> ", kLimit)) << waiting->both() << server_->both();
  Say(*waiting, "bp lwdemo!DemoLeaf;g", "Breakpoint 0 hit");
  waiting->Write("bc *;qd\n");
  EXPECT_EQ(waiting->Wait(kLimit), 0) << waiting->both();
}

TEST_F(SurvivalRoles, ATargetIsHandedOver) {
  const auto observer = Another({"--observe"});
  ASSERT_TRUE(observer->WaitFor("kd> ", kLimit)) << observer->both();
  Say(*driver_, "bp lwdemo!DemoLeaf;bl", "lwdemo!DemoLeaf");
  Say(*driver_, ".handover nobody", "no other client");
  Say(*driver_, ".driver", "observer");
  const std::string list = driver_->out();
  const std::size_t at = list.rfind("\n  ", list.rfind("observer"));
  ASSERT_NE(at, std::string::npos) << list;
  const std::string number = std::to_string(std::stoi(list.substr(at + 1)));
  Say(*driver_, ".handover " + number, "The target was handed over to");
  EXPECT_TRUE(observer->WaitFor("handed over to this kd", kLimit)) << observer->both();
  Say(*driver_, "g", "this kd only watches");
  Say(*observer, "bp nt!KeBugCheckEx;bl", "nt!KeBugCheckEx");
  Quit(*driver_);
  observer->Write("bc *;qd\n");
  EXPECT_EQ(observer->Wait(kLimit), 0) << observer->both();
}

TEST_F(SurvivalRoles, JsonHasTheEvents) {
  const auto observer = Another({"--observe", "--json"});
  ASSERT_TRUE(observer->WaitFor("\"event\":\"stop\"", kLimit)) << observer->both();
  const auto taker = Another({"--take"});
  ASSERT_TRUE(taker->WaitFor("kd> ", kLimit)) << taker->both();
  EXPECT_TRUE(observer->WaitFor("\"reason\":\"taken\"", kLimit)) << observer->both();
  EXPECT_THAT(observer->out(), HasSubstr("\"event\":\"driver\""));
  Quit(*taker);
}

TEST_F(SurvivalRoles, OutputOfThePastIsShown) {
  Say(*driver_, "eq lwdemo!g_CommandArgument 0n4711;ed lwdemo!g_Command 1;g", "demo: print 4711");
  const auto late = Another({"--observe", "--since", "all"});
  EXPECT_TRUE(late->WaitFor("demo: print 4711", kLimit)) << late->both();
  const auto never = Another({"--observe"});
  ASSERT_TRUE(driver_->WaitFor("joined", kLimit));
  driver_->Signal(SIGINT);
  ASSERT_TRUE(never->WaitFor("kd> ", kLimit)) << never->both();
  EXPECT_THAT(never->both(), testing::Not(HasSubstr("4711")));
}

}  // namespace
}  // namespace longwire::test
