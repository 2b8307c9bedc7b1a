// Fifty clients watch, one of them does not even look: the driver must not notice.
#include <gmock/gmock.h>

#include <csignal>
#include <thread>

#include "tests/e2e/acceptance/scene.h"
#include "tests/support/debug_session.h"
#include "tests/support/observer_crowd.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr int kCrowd = 49;
constexpr std::chrono::seconds kLimit{60};
/// What may wait in the server for one client that does not read (docs/protocol.md).
constexpr std::uint64_t kMostQueued = 2u << 20;

class SurvivalObservers : public Scene {
 protected:
  void SetUp() override {
    StartServer();
    machine_ = StartMachine();
    ASSERT_TRUE(machine_);
    SessionOptions options;
    options.symbol_path = machine_->symbol_directory();
    std::string error;
    driver_ = DebugSession::Open(KernelString(*machine_), options, &error);
    ASSERT_TRUE(driver_) << error;
    driver_->ShowStop();
    Costs();  // symbols are read once
  }

  /// The numbers that matter, one line a command.
  std::string Costs() {
    std::string costs;
    for (const char* command : {"r", "k", "lm", "dd @rsp L400", "u", "!process 0 0",
                                "dt lwdemo!_DEMO_DEVICE "
                                "lwdemo!g_Device"}) {
      // What one run left in the cache must not make the next one cheap.
      EXPECT_EQ(driver_->Run("eb lwdemo!g_Answer 0").error, "");
      const CommandCost cost = driver_->Run(command);
      EXPECT_EQ(cost.error, "") << command;
      costs += std::string(command) + ": " + std::to_string(cost.client.round_trips) + " round trips, " +
               std::to_string(cost.client.requests) + " requests, " + std::to_string(cost.link.exchanges) +
               " exchanges\n";
    }
    return costs;
  }

  /// Until the server knows that one of its clients is silent.
  void AwaitLost() {
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (std::chrono::steady_clock::now() < end) {
      Result<rpc::ClientList> clients = driver_->target().Clients();
      ASSERT_TRUE(clients) << clients.error().message;
      for (const rpc::Client& client : clients->clients) {
        if (client.lost) return;
      }
      std::this_thread::sleep_for(50ms);
    }
    FAIL() << "the frozen observer was not noticed";
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<DebugSession> driver_;
};

TEST_F(SurvivalObservers, TheDriverPaysNothingForThem) {
  const std::string alone = Costs();
  auto crowd = ObserverCrowd::Open(KernelString(*machine_), kCrowd);
  ASSERT_TRUE(crowd) << crowd.error().message;
  const auto frozen = Kd(*machine_, "", {"--observe", "--wait", "600"}, ChildProcess::Input::kPipe);
  ASSERT_TRUE(frozen->WaitFor("kd> ", kLimit)) << frozen->both();
  frozen->Signal(SIGSTOP);
  EXPECT_EQ(Costs(), alone);
  AwaitLost();

  // Plenty of output, of which the frozen one takes nothing.
  constexpr int kLines = 9000;  // more than is kept for an observer
  EXPECT_EQ(driver_->Run("eq lwdemo!g_CommandArgument 0n" + std::to_string(kLines)).error, "");
  EXPECT_EQ(driver_->Run("ed lwdemo!g_Command 9;bp lwdemo!DemoServeCommand").error, "");
  ASSERT_TRUE(driver_->Go()) << "the stop before the burst";
  EXPECT_EQ(driver_->Run("bc *;bp lwdemo!DemoTick").error, "");
  ASSERT_TRUE(driver_->Go()) << "the stop behind it";

  Result<rpc::ClientList> clients = driver_->target().Clients();
  ASSERT_TRUE(clients) << clients.error().message;
  EXPECT_EQ(clients->clients.size(), kCrowd + 2u);
  for (const rpc::Client& client : clients->clients)
    EXPECT_LE(client.queued_bytes, kMostQueued) << client.name;
  const ObserverCrowd::Counts counts = (*crowd)->counts();
  EXPECT_EQ(counts.gone, 0u);
  EXPECT_GT(counts.output_bytes, static_cast<std::uint64_t>(kLines));

  frozen->Signal(SIGCONT);
  // Where something is missing there is a mark; then it looks again.
  const std::string last = "demo: burst " + std::to_string(kLines) + " of";
  EXPECT_TRUE(frozen->WaitFor(last, kLimit)) << frozen->both();
  const std::string text = frozen->out();
  EXPECT_THAT(text, HasSubstr("bytes of output skipped]"));
  EXPECT_THAT(text, testing::Not(HasSubstr("demo: burst 1 of")));
  EXPECT_EQ(driver_->Run("bc *").error, "");
}

}  // namespace
}  // namespace longwire::test
