#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include "tests/e2e/acceptance/scene.h"

namespace longwire::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kCodeBytes = 64;
/// Generous: a busy machine is not what is tested.
constexpr std::chrono::seconds kSettleLimit{40};

/// kdsrv is killed at any instant while breakpoints come and go, and started again.
class AcceptanceRestart : public VariantScene {
 protected:
  void Start(const std::vector<std::string>& server_options) {
    StartServer(server_options);
    TestMachineOptions options;
    options.break_at_boot = true;
    machine_ = StartVariant(options);
    ASSERT_TRUE(machine_);
    KdProbe probe(machine_->Connect());
    ASSERT_TRUE(probe.WaitForStop());
    leaf_ = probe.FindExport("DemoLeaf");
    crash_ = probe.FindExport("KeBugCheckEx");
    ASSERT_TRUE(leaf_ != 0 && crash_ != 0);
    code_ = Code();
    ASSERT_EQ(code_.size(), 2 * kCodeBytes);
    ASSERT_TRUE(probe.ContinueOverBreak());
  }

  static int Kills() {
    const char* wish = std::getenv("LW_KILLS");
    return wish != nullptr ? std::atoi(wish) : 5;
  }
  /// Read behind the back of every debugger.
  Bytes Code() const {
    Bytes code = machine_->Memory(leaf_, kCodeBytes);
    const Bytes crash = machine_->Memory(crash_, kCodeBytes);
    code.insert(code.end(), crash.begin(), crash.end());
    return code;
  }
  bool Eventually(const std::function<bool()>& holds) const {
    const auto end = Clock::now() + kSettleLimit;
    while (!holds()) {
      if (Clock::now() > end) return false;
      std::this_thread::sleep_for(20ms);
    }
    return true;
  }

  std::unique_ptr<TestMachine> machine_;
  std::uint64_t leaf_ = 0, crash_ = 0;
  Bytes code_;
};

TEST_P(AcceptanceRestart, NoBreakpointIsLeftByAServerKilledAtAnyInstant) {
  ASSERT_NO_FATAL_FAILURE(Start({"--keep", "0"}));
  std::mt19937 random(7);
  int with_breakpoints = 0;
  for (int i = 0; i < Kills(); ++i) {
    auto kd = AttachedKd(*machine_);
    std::string commands;
    for (int round = 0; round < 40; ++round)
      commands += "bp DEMO!DemoLeaf\nbp nt!KeBugCheckEx\ng\nba w4 nt!KeBugCheckEx\nbc *\n";
    kd->Write(Named(commands));
    ASSERT_TRUE(kd->WaitFor("Breakpoint 0 hit")) << kd->both();
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
    server_->Signal(SIGKILL);
    ASSERT_TRUE(server_->Wait(5s));
    if (Code() != code_) ++with_breakpoints;
    kd.reset();
    StartServer({"--keep", "0"}, port_);
    EXPECT_TRUE(server_->WaitFor("taken back", kSettleLimit)) << server_->both();
    EXPECT_TRUE(server_->WaitFor("given back", kSettleLimit)) << server_->both();
    ASSERT_EQ(Code(), code_) << "kill " << i << "\n" << server_->both();
  }
  EXPECT_GT(with_breakpoints, 0) << "no kill met a breakpoint: nothing was tested";
  EXPECT_EQ(Output(*machine_, "bl;qd").find("bp 0"), std::string::npos);
  EXPECT_TRUE(Eventually([&] { return state_.Count() == 0; })) << "journals are left";
}

TEST_P(AcceptanceRestart, AClientGoesOnOrIsToldWhateverTheInstant) {
  ASSERT_NO_FATAL_FAILURE(Start({}));
  auto kd = AttachedKd(*machine_, {"-bonc", "--wait", "600"});
  std::mt19937 random(11);
  for (int i = 0; i < Kills(); ++i) {
    const std::string round = std::to_string(i);
    std::string commands;
    for (int pass = 0; pass < 8; ++pass)
      commands += "bp DEMO!DemoLeaf\nbp nt!KeBugCheckEx\ng\nk\nt\nba w4 nt!KeBugCheckEx\nbc *\n";
    kd->Write(Named(commands) + ".echo passes " + round + " are over\n");
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 600));
    server_->Signal(SIGKILL);
    ASSERT_TRUE(server_->Wait(5s));
    StartServer({}, port_);
    // Restored, or over and opened again: either way it is said.
    ASSERT_TRUE(kd->WaitFor("server was restarted", kSettleLimit)) << "kill " << i << "\n"
                                                                   << kd->both() << server_->both();
    // The breakpoint that a `g` waits for may be among the things whose fate is not known, which was said.
    ASSERT_TRUE(Eventually([&] {
      if (kd->WaitFor("passes " + round + " are over\n", 4s)) return true;
      kd->Signal(SIGINT);
      return false;
    })) << "kill "
        << i << "\n"
        << kd->both() << server_->both();
    kd->Write("bc *\n.echo clean " + round + "\n");
    ASSERT_TRUE(kd->WaitFor("clean " + round + "\n", kSettleLimit)) << "kill " << i << "\n" << kd->both();
    ASSERT_EQ(Code(), code_) << "kill " << i << "\n" << kd->both() << server_->both();
  }
  kd->Write("bc *\nqd\n");
  EXPECT_EQ(kd->Wait(kSettleLimit), 0) << kd->both();
  EXPECT_EQ(Code(), code_);
  EXPECT_TRUE(Eventually([&] { return state_.Count() == 0; })) << "journals are left";
}

INSTANTIATE_TEST_SUITE_P(Kernels, AcceptanceRestart, testing::Values(&kVariantA, &kVariantB),
                         [](const auto& info) { return std::string(1, info.param->variant); });

}  // namespace
}  // namespace longwire::test
