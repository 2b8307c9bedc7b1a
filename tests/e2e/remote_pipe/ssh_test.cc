// Pipes of "another machine" through the real ssh and a real sshd on loopback.
#include <cstdlib>

#include "tests/e2e/doctor/doctor_scene.h"
#include "tests/e2e/remote_pipe/ssh_server.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr char kLink[] = "com:pipe,port=/nowhere/vm.sock";
constexpr char kFar[] = "npipe:server=elsewhere,pipe=lab";

class PipeOverSsh : public DoctorScene {
 protected:
  void SetUp() override {
    if (!SshServer::IsInstalled()) GTEST_SKIP() << "no openssh-server (scripts/install_packages test)";
    ssh_ = std::make_unique<SshServer>(directory_.path(), KDSRV_PATH);
    ASSERT_TRUE(ssh_->Start());
    Use(ssh_->Shell());
  }
  void TearDown() override { unsetenv("_DBG_PIPE_RSH"); }
  static void Use(const std::string& shell) { setenv("_DBG_PIPE_RSH", shell.c_str(), 1); }

  /// kd lists the modules of a machine whose link the server behind the pipe has, twice.
  void ListModulesThrough(const std::string& server) {
    std::string error;
    const auto machine = TestMachine::Start({}, &error);
    ASSERT_TRUE(machine) << error;
    for (int i = 0; i < 2; ++i) {
      ChildProcess kd({KD_PATH, "-bonc", "-kqm", "-y", machine->symbol_directory(), "-k",
                       "kdsrv:server=@{" + server + "},trans=@{com:pipe,port=" + machine->socket_path() +
                           ",resets=0,reconnect}",
                       "-c", "lm;q"});
      EXPECT_EQ(kd.Wait(std::chrono::seconds(90)), 0) << kd.both();
      EXPECT_THAT(kd.out(), HasSubstr("nt         (private pdb symbols)")) << kd.both();
    }
  }

  std::unique_ptr<SshServer> ssh_;
};

TEST_F(PipeOverSsh, KdDebugsThroughNpipe) {
  StartServer("npipe:pipe=lab,password=RightHorse7");
  ListModulesThrough(std::string(kFar) + ",password=RightHorse7");
}

TEST_F(PipeOverSsh, KdDebugsThroughSpipe) {
  const std::string store = directory_.File("config/longwire/certificates");
  ChildProcess made({LONGWIRE_SOURCE_DIR "/scripts/make_lab_ca", store, "localhost"});
  ASSERT_EQ(made.Wait(), 0) << made.both();
  StartServer("spipe:proto=tls1,certuser=localhost,pipe=lab");
  ListModulesThrough("spipe:proto=tls1,certuser=lab-ca,server=elsewhere,pipe=lab");
}

TEST_F(PipeOverSsh, AWrongPasswordIsRefusedAndNeverSeenBySsh) {
  StartServer("npipe:pipe=lab,password=RightHorse7");
  ChildProcess kd({KD_PATH, "-k",
                   "kdsrv:server=@{" + std::string(kFar) + ",password=WrongHorse7},trans=@{" + kLink + "}"});
  EXPECT_EQ(kd.Wait(), 3) << kd.both();
  EXPECT_THAT(kd.both(), HasSubstr("0x80004005"));
}

TEST_F(PipeOverSsh, TheDoctorUnderstandsTheRealSsh) {
  ExpectThrough(kFar, kLink, "port", Finding::kPipeMissing,
                {"status 4", "no server listens on the pipe lab"});
  StartServer("npipe:pipe=lab");
  ExpectThrough(kFar, kLink, "device", Finding::kSocketMissing, {"reaches the pipe lab there"});
  Use(ssh_->ShellThatTrustsNobody());
  ExpectThrough(kFar, kLink, "port", Finding::kShellHostKey, {"status 255"});
  Use(ssh_->ShellOfAStranger());
  ExpectThrough(kFar, kLink, "port", Finding::kShellLogin, {"Permission denied"});
  Use("/usr/bin/ssh -F none -o BatchMode=yes");
  ExpectThrough("npipe:server=nobody-has-this-name.invalid,pipe=lab", kLink, "name", Finding::kNameUnknown,
                {"nobody-has-this-name.invalid"});
  const std::string gone = ssh_->Shell();
  ssh_->Stop();
  Use(gone);
  ExpectThrough(kFar, kLink, "port", Finding::kShellUnreachable, {"Connection refused"});
  ASSERT_TRUE(ssh_->Start(false));
  Use(ssh_->Shell());
  ExpectThrough(kFar, kLink, "port", Finding::kServerProgramMissing, {"status 127", "kdsrv"});
}

}  // namespace
}  // namespace longwire::test
