// kdsrv is killed and started again while kd works on a machine behind a gdb stub.
#include <csignal>
#include <thread>

#include "tests/e2e/acceptance/scene.h"

namespace longwire::test {
namespace {

constexpr std::chrono::seconds kLimit{60};

class StubRestart : public Scene {
 protected:
  std::unique_ptr<ChildProcess> Kd(std::vector<std::string> more, ChildProcess::Input input) {
    std::vector<std::string> words = {KD_PATH,
                                      "-k",
                                      "kdsrv:server=@{tcp:server=127.0.0.1,port=" + std::to_string(port_) +
                                          ",password=" + kPassword +
                                          "},trans=@{gdb:server=" + machine_->stub_path() + "}",
                                      "-y",
                                      machine_->symbol_directory(),
                                      "-kqm",
                                      "-bonc"};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<ChildProcess>(words, input);
  }
  /// Without KD nothing tells when the kernel is up: asks until it is.
  void AwaitKernel() {
    std::string said;
    for (int i = 0; i < 30; ++i) {
      const auto kd = Kd({"-c", "lm;qd"}, ChildProcess::Input::kClosed);
      kd->Wait(kLimit);
      said = kd->both();
      if (said.find("nt  ") != std::string::npos) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    FAIL() << "no kernel was found: " << said;
  }
  std::unique_ptr<TestMachine> machine_;
};

TEST_F(StubRestart, TheSessionGoesOnWithItsBreakpoints) {
  StartServer();
  machine_ = StartMachine({.gdb_stub = true});
  ASSERT_TRUE(machine_);
  AwaitKernel();
  const auto kd = Kd({"--wait", "600"}, ChildProcess::Input::kPipe);
  ASSERT_TRUE(kd->WaitFor("kd> ", kLimit)) << kd->both() << server_->both();
  kd->Write("bp nt!KdCheckBreakIn\nba w8 lwdemo!g_Ticks\nbl\n");
  ASSERT_TRUE(kd->WaitFor("(0001) lwdemo!g_Ticks", kLimit)) << kd->both();
  server_->Signal(SIGKILL);
  ASSERT_TRUE(kd->WaitFor("trying again", kLimit)) << kd->both();
  StartServer({}, port_);
  ASSERT_TRUE(kd->WaitFor("the server was restarted", kLimit)) << kd->both() << server_->both();
  kd->Write("bd 1;g\n");
  ASSERT_TRUE(kd->WaitFor("Breakpoint 0 hit", kLimit)) << kd->both() << server_->both();
  kd->Write("be 1;bd 0;g\n");
  ASSERT_TRUE(kd->WaitFor("Breakpoint 1 hit", kLimit)) << kd->both() << server_->both();
  kd->Write("bc *;qd\n");
  EXPECT_EQ(kd->Wait(kLimit), 0) << kd->both();
}

}  // namespace
}  // namespace longwire::test
