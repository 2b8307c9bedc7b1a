// The network between kd and kdsrv goes away and comes back.
#include <gmock/gmock.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "tests/e2e/acceptance/scene.h"
#include "tests/support/network_relay.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

/// A search of 64 MiB takes many seconds over the line.
constexpr char kLongCommand[] = "s -b 0xffff800000000000 L?4000000 de ad be ef 99 88 77 66\n";
constexpr std::chrono::seconds kSettleLimit{60};

/// How long the network stays away: longer than it takes either end to notice.
std::chrono::seconds Outage() {
  const char* wish = std::getenv("LW_OUTAGE_SECONDS");
  return std::chrono::seconds(wish != nullptr ? std::atoi(wish) : 8);
}

class SurvivalNetwork : public Scene {
 protected:
  void SetUp() override {
    StartServer();
    TestMachineOptions options;
    options.break_at_boot = true;
    machine_ = StartMachine(options);
    ASSERT_TRUE(machine_);
    relay_ = std::make_unique<NetworkRelay>(port_);
    ASSERT_NE(relay_->port(), 0);
    kd_ = StartKd();
    ASSERT_TRUE(kd_->WaitFor("kd> ")) << kd_->both() << server_->both();
  }

  std::unique_ptr<ChildProcess> StartKd(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {KD_PATH,
                                      "-k",
                                      KernelString(*machine_, kPassword, relay_->port()),
                                      "-y",
                                      machine_->symbol_directory(),
                                      "-kqm",
                                      "-bonc",
                                      "--wait",
                                      "600"};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<ChildProcess>(words, ChildProcess::Input::kPipe);
  }

  /// The network is away for so long, and kd has noticed and is back.
  void LoseAndRestore(std::chrono::seconds outage) {
    relay_->Vanish();
    EXPECT_TRUE(kd_->WaitFor("trying again", kSettleLimit)) << kd_->both();
    std::this_thread::sleep_for(outage);
    relay_->Return();
    EXPECT_TRUE(kd_->WaitFor("restored after", kSettleLimit)) << kd_->both() << server_->both();
  }
  void Quit() {
    kd_->Write("qd\n");
    EXPECT_EQ(kd_->Wait(kSettleLimit), 0) << kd_->both();
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<NetworkRelay> relay_;
  std::unique_ptr<ChildProcess> kd_;
};

TEST_F(SurvivalNetwork, NoLineOfDebugOutputIsLost) {
  // Enough to go on printing while the network is away.
  const int lines = 200 * static_cast<int>(Outage().count() + 10);
  kd_->Write("eq lwdemo!g_CommandArgument 0n" + std::to_string(lines) + "\ned lwdemo!g_Command 9\ng\n");
  ASSERT_TRUE(kd_->WaitFor("demo: burst 100 of")) << kd_->both();
  LoseAndRestore(Outage());
  const std::string total = " of " + std::to_string(lines) + "\n";
  ASSERT_TRUE(kd_->WaitFor("demo: burst " + std::to_string(lines) + total, 240s)) << kd_->both();
  std::string text = kd_->out();
  EXPECT_THAT(text, Not(HasSubstr("output skipped")));
  std::size_t at = 0;
  for (int line = 1; line <= lines; ++line) {
    const std::size_t found = text.find("demo: burst ", at);
    ASSERT_NE(found, std::string::npos) << "line " << line << " is missing";
    const std::string wanted = "demo: burst " + std::to_string(line) + total;
    ASSERT_EQ(text.substr(found, wanted.size()), wanted);
    at = found + wanted.size();
  }
  EXPECT_EQ(text.find("demo: burst ", at), std::string::npos) << "a line came twice";
  kd_->Signal(SIGINT);
  ASSERT_TRUE(kd_->WaitFor("kd> ", kSettleLimit)) << kd_->both();
  Quit();
}

TEST_F(SurvivalNetwork, ACommandInTheMiddleGoesOn) {
  kd_->Write("bp lwdemo!DemoLeaf\n");
  kd_->Write(kLongCommand + std::string(".echo command is done\n"));
  ASSERT_TRUE(kd_->WaitFor("99 88 77 66\n"));
  LoseAndRestore(Outage());
  ASSERT_TRUE(kd_->WaitFor("command is done\n", 240s)) << kd_->both();
  EXPECT_THAT(kd_->error(), Not(HasSubstr("did not answer")));
  kd_->Write("g\n");
  EXPECT_TRUE(kd_->WaitFor("Breakpoint 0 hit", kSettleLimit)) << kd_->both();
  kd_->Write("bc *\n");
  Quit();
}

TEST_F(SurvivalNetwork, AStopInTheMeantimeIsShownAfterwards) {
  kd_->Write("bp lwdemo!DemoLeaf\nbd 0\ng\n");
  ASSERT_TRUE(kd_->WaitFor("kd> g\n"));
  kd_->Signal(SIGINT);
  ASSERT_TRUE(kd_->WaitFor("kd> ", kSettleLimit));
  // The breakpoint is a few milliseconds away, the network is gone before.
  kd_->Write("be 0\neq lwdemo!g_CommandArgument 0n400\ned lwdemo!g_Command 9\ng\n");
  ASSERT_TRUE(kd_->WaitFor("kd> g\n", kSettleLimit));
  LoseAndRestore(1s);
  EXPECT_TRUE(kd_->WaitFor("kd> ", kSettleLimit)) << kd_->both();
  EXPECT_THAT(kd_->out(), HasSubstr("Breakpoint 0 hit"));
  kd_->Write("bc *\n");
  Quit();
}

TEST_F(SurvivalNetwork, ACutConnectionIsBackAtOnce) {
  for (int round = 1; round <= 5; ++round) {
    relay_->Cut();
    ASSERT_TRUE(kd_->WaitFor("restored after", kSettleLimit)) << kd_->both();
    kd_->Write("r rip\n");
    ASSERT_TRUE(kd_->WaitFor("rip=", kSettleLimit)) << kd_->both();
  }
  EXPECT_GE(relay_->connections(), 6);
  Quit();
}

TEST_F(SurvivalNetwork, CtrlCEndsTheWait) {
  kd_->Write(kLongCommand);
  ASSERT_TRUE(kd_->WaitFor("99 88 77 66\n"));
  relay_->Vanish();
  ASSERT_TRUE(kd_->WaitFor("trying again", kSettleLimit)) << kd_->both();
  kd_->Signal(SIGINT);
  ASSERT_TRUE(kd_->WaitFor("ended by Ctrl-C", kSettleLimit)) << kd_->both();
  kd_->Write("q\n");
  EXPECT_TRUE(kd_->Wait(kSettleLimit)) << kd_->both();
}

TEST_F(SurvivalNetwork, WithoutResumeWaitTheLossIsFinal) {
  Quit();
  kd_ = StartKd({"--resume-wait", "0"});
  ASSERT_TRUE(kd_->WaitFor("kd> ", kSettleLimit)) << kd_->both();
  relay_->Cut();
  ASSERT_TRUE(kd_->WaitFor("is lost", kSettleLimit)) << kd_->both();
  EXPECT_THAT(kd_->both(), Not(HasSubstr("trying again")));
}

}  // namespace
}  // namespace longwire::test
