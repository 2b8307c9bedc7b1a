// Two labs and a technician's desk behind a firewall that lets nobody dial from the desk.
#include <gmock/gmock.h>

#include "tests/e2e/acceptance/scene.h"
#include "tests/e2e/namespaces/test_network.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr int kLabs = 2, kDesk = 3;

struct Way {
  friend void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }
  const char* name;
  const char* password;  ///< with its key, or nothing
  const char* option;    ///< of both programs
};

class Namespaces : public testing::TestWithParam<Way> {
 protected:
  struct Lab {
    int number = 0;
    std::unique_ptr<TestMachine> machine;
    std::unique_ptr<ChildProcess> server;
  };

  void SetUp() override {
    std::string why;
    network_ = TestNetwork::Make(kDesk, &why);
    if (!network_) GTEST_SKIP() << why;
    ASSERT_TRUE(network_->ForbidDiallingFrom(kDesk));
    for (int i = 0; i < kLabs; ++i) {
      labs_[i].number = i + 1;
      TestMachineOptions options;
      options.ack_timeout_ms = 1000;
      labs_[i].machine = TestMachine::Start(options, &why);
      ASSERT_TRUE(labs_[i].machine) << why;
    }
  }
  void TearDown() override {
    for (Lab& lab : labs_) lab.server.reset();
    network_.reset();
  }

  static std::string Port(const Lab& lab) { return std::to_string(5000 + lab.number); }

  std::unique_ptr<ChildProcess> Start(int machine, std::vector<std::string> words,
                                      ChildProcess::Input input = ChildProcess::Input::kClosed) {
    if (*GetParam().option) words.push_back(GetParam().option);
    return std::make_unique<ChildProcess>(network_->On(machine, words), input);
  }

  void StartServer(Lab& lab) {
    lab.server = Start(lab.number, {KDSRV_PATH, "-v", "-t",
                                    "tcp:port=" + Port(lab) + ",clicon=" + TestNetwork::AddressOf(kDesk) +
                                        GetParam().password});
    ASSERT_TRUE(lab.server->WaitFor("dialling ")) << lab.server->both();
  }
  void KillServer(Lab& lab) {
    lab.server->Signal(SIGKILL);
    ASSERT_TRUE(lab.server->Wait());
  }

  std::unique_ptr<ChildProcess> Kd(const Lab& lab, const std::string& commands,
                                   ChildProcess::Input input = ChildProcess::Input::kClosed) {
    std::vector<std::string> words = {KD_PATH,
                                      "-k",
                                      "kdsrv:server=@{tcp:clicon=" + TestNetwork::AddressOf(lab.number) +
                                          ",port=" + Port(lab) + GetParam().password +
                                          "},trans=@{com:pipe,port=" + lab.machine->socket_path() + "}",
                                      "-y",
                                      lab.machine->symbol_directory(),
                                      "-kqm",
                                      "-bonc"};
    if (!commands.empty()) words.insert(words.end(), {"-c", commands});
    return Start(kDesk, words, input);
  }
  void ExpectSession(const Lab& lab) {
    const auto kd = Kd(lab, "lm;q");
    EXPECT_EQ(kd->Wait(std::chrono::seconds(60)), 0) << kd->both() << lab.server->both();
    EXPECT_THAT(kd->both(), HasSubstr("lwdemo"));
  }

  std::unique_ptr<TestNetwork> network_;
  Lab labs_[kLabs];
};

TEST_P(Namespaces, ReverseConnectionsPassTheFirewallAndOutliveEachProgram) {
  for (Lab& lab : labs_) StartServer(lab);
  for (const Lab& lab : labs_) ExpectSession(lab);
  for (Lab& lab : labs_) {
    KillServer(lab);
    StartServer(lab);
    ExpectSession(lab);
  }
  // The client dies in the middle of a session: both servers go on, and the next client gets both.
  auto kd = Kd(labs_[0], "", ChildProcess::Input::kPipe);
  ASSERT_TRUE(kd->WaitFor("kd> ", std::chrono::seconds(60))) << kd->both() << labs_[0].server->both();
  kd->Signal(SIGKILL);
  ASSERT_TRUE(kd->Wait());
  for (const Lab& lab : labs_) ExpectSession(lab);
}

TEST_P(Namespaces, TheUsualDirectionIsForbiddenIndeed) {
  auto server = Start(1, {KDSRV_PATH, "-v", "-t", std::string("tcp:port=5005") + GetParam().password});
  ASSERT_TRUE(server->WaitFor("listening on ")) << server->both();
  const auto kd = Start(
      kDesk, {KD_PATH, "-k",
              "kdsrv:server=@{tcp:server=" + TestNetwork::AddressOf(1) + ",port=5005,connecttimeout=1" +
                  GetParam().password + "},trans=@{com:pipe,port=" + labs_[0].machine->socket_path() + "}"});
  EXPECT_EQ(kd->Wait(), 4) << kd->both();
}

INSTANTIATE_TEST_SUITE_P(Ways, Namespaces,
                         testing::Values(Way{"Password", ",password=RightHorse7", ""},
                                         Way{"Open", "", "-open"}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace longwire::test
