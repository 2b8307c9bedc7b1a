// kd, kdsrv and the test machine over lines that socat lays.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

constexpr seconds kPatience{60};

class Transports : public testing::Test {
 protected:
  Transports() { ::setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1); }
  ~Transports() override {
    for (const int end : held_) ::close(end);
  }

  void StartMachine() {
    std::string error;
    machine_ = TestMachine::Start({}, &error);
    ASSERT_TRUE(machine_) << error;
  }
  static std::string SocatPath() {
    for (const char* path : {"/usr/bin/socat", "/usr/local/bin/socat", "/bin/socat"}) {
      if (::access(path, X_OK) == 0) return path;
    }
    return {};
  }
  /// Joins two addresses; what it prints has `ready` once it can be used.
  std::unique_ptr<ChildProcess> Socat(const std::string& one, const std::string& other,
                                      const std::string& ready) {
    auto socat =
        std::make_unique<ChildProcess>(std::vector<std::string>{SocatPath(), "-d", "-d", "-d", one, other});
    EXPECT_TRUE(socat->WaitFor(ready)) << socat->both();
    return socat;
  }
  /// A device that is kept open, as a real one is plugged in whoever uses it: socat ends with its pty's user.
  std::string Device(const std::string& name) {
    const std::string path = directory_.File(name);
    const int end = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_GE(end, 0) << path;
    held_.push_back(end);
    return path;
  }
  std::string Pty(const std::string& name) const { return "PTY,raw,echo=0,link=" + directory_.File(name); }

  /// kdsrv on `transport`, once it serves.
  static std::unique_ptr<ChildProcess> Kdsrv(const std::string& transport,
                                             const std::string& ready = "listening on") {
    auto server = std::make_unique<ChildProcess>(
        std::vector<std::string>{KDSRV_PATH, "-v", "--state", "none", "-t", transport});
    EXPECT_TRUE(server->WaitFor(ready)) << server->both();
    return server;
  }
  /// kd on a kernel string: lists the modules and quits. It must say that it found the machine's.
  void ListModules(const std::string& kernel) {
    ChildProcess kd(
        {KD_PATH, "-bonc", "-kqm", "-y", machine_->symbol_directory(), "-k", kernel, "-c", "lm;q"});
    EXPECT_EQ(kd.Wait(kPatience), 0) << kd.both();
    EXPECT_THAT(kd.out(), AllOf(HasSubstr("nt         (private pdb symbols)"), HasSubstr("lwdemo")))
        << kd.error();
  }
  std::string Through(const std::string& client) const {
    return "kdsrv:server=@{" + client + "},trans=@{com:pipe,port=" + machine_->socket_path() +
           ",resets=0,reconnect}";
  }
  static std::string Status(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{KDSRV_PATH, "--status"};
    words.insert(words.end(), more.begin(), more.end());
    ChildProcess status(words);
    EXPECT_EQ(status.Wait(kPatience), 0) << status.both();
    return status.out();
  }
  static bool Comes(const std::function<bool()>& fact) {
    const auto until = Clock::now() + kPatience;
    while (!fact()) {
      if (Clock::now() > until) return false;
      std::this_thread::sleep_for(milliseconds(20));
    }
    return true;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<TestMachine> machine_;
  std::vector<int> held_;
};

#define NEED_SOCAT() \
  if (SocatPath().empty()) GTEST_SKIP() << "this machine has no socat program"

TEST_F(Transports, KdWorksOverASerialLineToKdsrvAndItsGoodbyeArrives) {
  NEED_SOCAT();
  ASSERT_NO_FATAL_FAILURE(StartMachine());
  const auto cable = Socat(Pty("near"), Pty("far"), "starting data transfer");
  const std::string near = Device("near"), far = Device("far");
  for (const std::string password : {"", ",password=Sesame42"}) {
    const std::string rest = ",baud=115200,channel=7" + password;
    const auto server = Kdsrv("com:port=" + far + rest);
    // The second finds the line as the first left it.
    for (int i = 0; i < 2; ++i) {
      ListModules(Through("com:port=" + near + rest));
      // Its last frames were delivered although the program ended at once: nobody is missed.
      EXPECT_TRUE(Comes([] { return Status().find("no link is open") != std::string::npos; })) << Status();
    }
    EXPECT_THAT(server->both(), Not(HasSubstr("lost")));
    server->Signal(SIGTERM);
    EXPECT_EQ(server->Wait(), 0) << server->both();
  }
}

TEST_F(Transports, AnEndingServerSaysGoodbyeOverASerialLine) {
  NEED_SOCAT();
  ASSERT_NO_FATAL_FAILURE(StartMachine());
  const auto cable = Socat(Pty("near"), Pty("far"), "starting data transfer");
  const std::string near = Device("near"), far = Device("far");
  const auto server = Kdsrv("com:port=" + far + ",baud=115200,channel=7");
  ChildProcess kd({KD_PATH, "-bonc", "-kqm", "-y", machine_->symbol_directory(), "-k",
                   Through("com:port=" + near + ",baud=115200,channel=7"), "-c", ".echo is-there"},
                  ChildProcess::Input::kPipe);
  ASSERT_TRUE(kd.WaitFor("is-there", kPatience)) << kd.both();
  server->Signal(SIGTERM);
  EXPECT_EQ(server->Wait(), 0) << server->both();
  // Not silence: the server told that it ends.
  kd.Write("lm\n");
  ASSERT_TRUE(kd.WaitFor("is lost (", kPatience)) << kd.both();
  EXPECT_THAT(kd.both(), Not(HasSubstr("Nothing was heard")));
}

TEST_F(Transports, APipeIsReachedThroughARelay) {
  NEED_SOCAT();
  ASSERT_NO_FATAL_FAILURE(StartMachine());
  const std::string pipes = directory_.File("longwire");
  const auto server = Kdsrv("npipe:pipe=lab,password=Sesame42");
  const auto relay =
      Socat("UNIX-LISTEN:" + pipes + "/relay", "UNIX-CONNECT:" + pipes + "/lab", "listening on");
  ListModules(Through("npipe:server=.,pipe=relay,password=Sesame42"));
}

TEST_F(Transports, AKernelLinkThroughAPtyIsADevice) {
  NEED_SOCAT();
  ASSERT_NO_FATAL_FAILURE(StartMachine());
  const auto cable = Socat(Pty("com1"), "UNIX-CONNECT:" + machine_->socket_path(), "starting data transfer");
  ListModules("com:port=" + Device("com1") + ",baud=115200");
}

TEST_F(Transports, AKernelLinkThroughAPtyIsAPipe) {
  NEED_SOCAT();
  ASSERT_NO_FATAL_FAILURE(StartMachine());
  const auto cable = Socat(Pty("com1"), "UNIX-CONNECT:" + machine_->socket_path(), "starting data transfer");
  ListModules("com:pipe,port=" + Device("com1") + ",resets=0");
}

TEST_F(Transports, AKernelLinkOverTcp) {
  NEED_SOCAT();
  ASSERT_NO_FATAL_FAILURE(StartMachine());
  const auto relay =
      Socat("TCP-LISTEN:0,bind=127.0.0.1", "UNIX-CONNECT:" + machine_->socket_path(), "listening on");
  const std::string text = relay->both(), before = "listening on AF=2 127.0.0.1:";
  ASSERT_THAT(text, HasSubstr(before));
  const int port = std::stoi(text.substr(text.find(before) + before.size()));
  ListModules("com:ipport=" + std::to_string(port) + ",port=127.0.0.1");
}

TEST_F(Transports, TheStatusOfAReverseServerTellsWhomItDialsAndWhen) {
  // Nobody listens on port 1 of this machine.
  const auto server = Kdsrv("tcp:clicon=127.0.0.1,port=1", "dialling");
  EXPECT_TRUE(Comes([] {
    const std::string text = Status();
    return text.find("tcp:Port=1,CliCon=127.0.0.1  dialling 127.0.0.1 port 1 (attempt ") !=
               std::string::npos &&
           text.find("), next attempt in ") != std::string::npos;
  })) << Status();
  EXPECT_TRUE(Comes([] {
    const std::string json = Status({"--json"});
    return json.starts_with("[{\"server\":\"tcp:Port=1,CliCon=127.0.0.1\"") &&
           json.find("\"state\":\"dialling") != std::string::npos &&
           json.find("\"next_attempt_ms\":") != std::string::npos;
  })) << Status({"--json"});
}

}  // namespace
}  // namespace longwire::test
