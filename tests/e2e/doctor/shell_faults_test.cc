#include <sys/stat.h>

#include <cstdlib>

#include "tests/e2e/doctor/doctor_scene.h"

/// What can be wrong with a pipe of another machine, which ssh reaches: a script plays OpenSSH with its words
/// and exit codes. remote_pipe has the same with a real sshd.
namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr char kLink[] = "com:pipe,port=/nowhere/vm.sock";

class DoctorShell : public DoctorScene {
 protected:
  ~DoctorShell() override { unsetenv("_DBG_PIPE_RSH"); }

  void SetShell(const std::string& script) {
    directory_.Write("rsh", "#!/bin/sh\n" + script + "\n");
    ASSERT_EQ(chmod(directory_.File("rsh").c_str(), 0755), 0);
    setenv("_DBG_PIPE_RSH", directory_.File("rsh").c_str(), 1);
  }
  void SshSays(const std::string& complaint, int status) {
    SetShell("echo 'a banner' >&2; echo '" + complaint + "' >&2; exit " + std::to_string(status));
  }
  /// The words are: HOST kdsrv --connect-pipe NAME.
  void SetShellThatRunsHere() { SetShell(std::string("shift 2\nexec '") + KDSRV_PATH + "' \"$@\""); }
  void ExpectShell(const std::string& step, Finding finding, const std::vector<std::string>& causes) {
    ExpectThrough("npipe:server=elsewhere,pipe=lab", kLink, step, finding, causes);
  }
};

TEST_F(DoctorShell, NoSuchProgram) {
  setenv("_DBG_PIPE_RSH", directory_.File("no-ssh").c_str(), 1);
  ExpectShell("port", Finding::kShellMissing, {"no-ssh cannot be started"});
}

TEST_F(DoctorShell, WhatSshComplainsAbout) {
  SshSays("ssh: Could not resolve hostname elsewhere: Name or service not known", 255);
  ExpectShell("name", Finding::kNameUnknown, {"status 255", "Could not resolve hostname elsewhere"});
  SshSays("ssh: connect to host elsewhere port 22: Connection refused", 255);
  ExpectShell("port", Finding::kShellUnreachable, {"status 255", "port 22: Connection refused"});
  SshSays("Host key verification failed.", 255);
  ExpectShell("port", Finding::kShellHostKey, {"Host key verification failed"});
  SshSays("joe@elsewhere: Permission denied (publickey).", 255);
  ExpectShell("port", Finding::kShellLogin, {"Permission denied (publickey)"});
  SshSays("something new", 77);
  ExpectShell("port", Finding::kTransportFailed, {"status 77", "something new"});
}

TEST_F(DoctorShell, WhatIsWrongOnTheOtherMachine) {
  SshSays("sh: 1: kdsrv: not found", 127);
  ExpectShell("port", Finding::kServerProgramMissing, {"status 127", "kdsrv: not found"});
  SetShell("echo 'Welcome to elsewhere'; exec sleep 60");
  ExpectShell("port", Finding::kLoginText, {"not kdsrv's"});
  SetShellThatRunsHere();
  ExpectShell("port", Finding::kPipeMissing, {"status 4", "no server listens on the pipe lab"});
}

TEST_F(DoctorShell, TheServerBehindIt) {
  SetShellThatRunsHere();
  StartServer("npipe:pipe=lab,password=RightHorse7");
  ExpectShell("password", Finding::kPasswordWanted, {"asks for a password", "reaches the pipe lab there"});
  ExpectThrough("npipe:server=elsewhere,pipe=lab,password=WrongHorse7", kLink, "password",
                Finding::kPasswordWrong, {"0x80004005"});
  ExpectThrough("npipe:server=elsewhere,pipe=lab,password=RightHorse7", kLink, "device",
                Finding::kSocketMissing, {"/nowhere/vm.sock"});
}

}  // namespace
}  // namespace longwire::test
