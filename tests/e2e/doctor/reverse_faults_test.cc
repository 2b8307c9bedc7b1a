#include <unistd.h>

#include <iostream>

#include "tests/e2e/doctor/doctor_scene.h"
#include "tests/support/loopback.h"
#include "tests/support/own_ports.h"

/// What can be wrong with a connection that the server dials (clicon=), seen from both ends.
namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kLink[] = "com:pipe,port=/nowhere/vm.sock";
constexpr char kGood[] = ",password=RightHorse7", kWrong[] = ",password=WrongHorse7";

class DoctorReverse : public DoctorScene {
 protected:
  DoctorReverse() { port_ = OwnPort(); }
  void TearDown() override {
    if (HasFailure() && server_) std::cout << "the server said: " << server_->both() << "\n";
  }

  /// The string of either side. The wait is long where a server has to come.
  std::string Reverse(const std::string& more = "", const std::string& host = "127.0.0.1") const {
    return "tcp:port=" + std::to_string(port_) + ",clicon=" + host + more;
  }
  std::string Waiting(const std::string& more = "", const std::string& seconds = "60") const {
    return Reverse(more + ",connecttimeout=" + seconds);
  }
  void StartDialling(const std::string& more = "") {
    server_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{KDSRV_PATH, "-v", "--state", "none", "-t", Reverse(more)});
  }
  /// A kd that waits; started anew for each examination of a server.
  std::unique_ptr<ChildProcess> StartWaiting(const std::string& more = "") {
    auto kd = std::make_unique<ChildProcess>(std::vector<std::string>{
        KD_PATH, "-k", "kdsrv:server=@{" + Reverse(more) + "},trans=@{" + kLink + "}"});
    EXPECT_TRUE(kd->WaitFor("Waiting for the server to dial in")) << kd->both();
    return kd;
  }
};

TEST_F(DoctorReverse, NobodyDials) {
  ExpectThrough(
      Waiting(kGood, "1"), kLink, "port", Finding::kNobodyDialled,
      {"within 1 s", "kdsrv -t tcp:port=" + std::to_string(port_) + ",clicon=127.0.0.1,password=..."});
}

TEST_F(DoctorReverse, ThePortToWaitOnIsTaken) {
  int taken = 0;
  const int listener = ListenOnLoopback(1, &taken);
  port_ = taken;
  ChildProcess doctor(
      {KD_PATH, "-doctor", "-k", "kdsrv:server=@{" + Waiting(kGood, "1") + "},trans=@{" + kLink + "}"});
  EXPECT_EQ(doctor.Wait(), 4);
  EXPECT_THAT(doctor.both(), HasSubstr("LW-D307 port-taken: port " + std::to_string(port_) + " is taken"));
  close(listener);
}

TEST_F(DoctorReverse, TheServersMachineIsUnknown) {
  ExpectThrough("tcp:port=1,clicon=nobody-has-this-name.invalid,password=Abc1", kLink, "name",
                Finding::kNameUnknown, {"nobody-has-this-name.invalid"});
}

TEST_F(DoctorReverse, AnotherMachineDials) {
  ChildProcess doctor({KD_PATH, "-doctor", "-k",
                       "kdsrv:server=@{tcp:port=" + std::to_string(port_) +
                           ",clicon=192.0.2.1,connecttimeout=6,password=Abc1},trans=@{com:}"});
  if (!doctor.WaitFor("waiting for the server", std::chrono::seconds(20)))
    GTEST_SKIP() << "this machine has no route to anywhere: " << doctor.both();
  const int stranger = DialLoopback(port_);
  ASSERT_GE(stranger, 0);
  EXPECT_EQ(doctor.Wait(), 4) << doctor.both();
  EXPECT_THAT(doctor.both(), HasSubstr("LW-D313 stranger-dialled: 127.0.0.1:"));
  close(stranger);
}

TEST_F(DoctorReverse, WithoutAPasswordOnlyThisMachineMayDial) {
  ChildProcess doctor(
      {KD_PATH, "-doctor", "-k",
       "kdsrv:server=@{tcp:port=" + std::to_string(port_) + ",clicon=192.0.2.1},trans=@{com:}"});
  ASSERT_TRUE(doctor.Wait().has_value());
  if (doctor.both().find("LW-D201") != std::string::npos) GTEST_SKIP() << "no route to anywhere";
  EXPECT_THAT(doctor.both(), HasSubstr("LW-D502 password-wanted"));
}

TEST_F(DoctorReverse, PasswordsOfTheServerThatDials) {
  StartDialling(kGood);
  ExpectThrough(Waiting(kWrong), kLink, "password", Finding::kPasswordWrong, {"0x80004005", "dialled in"});
  ExpectThrough(Waiting(), kLink, "password", Finding::kPasswordWanted, {"asks for a password"});
  ExpectThrough(Waiting(kGood), kLink, "device", Finding::kSocketMissing,
                {"ok       password    both sides know it", "/nowhere/vm.sock"});
}

TEST_F(DoctorReverse, TheServerThatDialsHasNoPassword) {
  StartDialling();
  ExpectThrough(Waiting(kGood), kLink, "password", Finding::kPasswordNotWanted, {"was started without one"});
}

TEST_F(DoctorReverse, NoClientWaits) {
  Expect({KDSRV_PATH, "-doctor", "-t", Reverse(kGood)}, "port", Finding::kNoClientWaits,
         {"kd -k 'kdsrv:server=@{tcp:clicon=127.0.0.1,port=" + std::to_string(port_) + ",password=...}"});
}

TEST_F(DoctorReverse, SomethingElseIsAtTheClientsPort) {
  FakePeer silent(FakePeer::SayNothing);
  port_ = silent.port();
  Expect({KDSRV_PATH, "-doctor", "-t", Reverse(kGood)}, "tls", Finding::kServerSilent, {"says nothing"});
  Expect({KDSRV_PATH, "-doctor", "-t", Reverse()}, "version", Finding::kServerSilent, {"says nothing"});
  FakePeer shell(FakePeer::Say("SSH-2.0-OpenSSH_9.2\r\n"));
  port_ = shell.port();
  Expect({KDSRV_PATH, "-doctor", "-t", Reverse(kGood)}, "tls", Finding::kNotLongwire, {"an SSH server"});
}

TEST_F(DoctorReverse, PasswordsOfTheClientThatWaits) {
  auto kd = StartWaiting(kWrong);
  Expect({KDSRV_PATH, "-doctor", "-t", Reverse(kGood)}, "password", Finding::kPasswordWrong,
         {"ok       tls"});
  ASSERT_TRUE(kd->Wait().has_value());
  kd = StartWaiting();
  Expect({KDSRV_PATH, "-doctor", "-t", Reverse(kGood)}, "password", Finding::kPasswordWanted,
         {"gives no password"});
  ASSERT_TRUE(kd->Wait().has_value());
  kd = StartWaiting(kGood);
  Expect({KDSRV_PATH, "-doctor", "-t", Reverse()}, "password", Finding::kPasswordNotWanted, {"speaks TLS"});
  ASSERT_TRUE(kd->Wait().has_value());
  kd = StartWaiting(kGood);
  EXPECT_THAT(Healthy({KDSRV_PATH, "-doctor", "-t", Reverse(kGood)}),
              HasSubstr("waits; it has to be started again now"));
  EXPECT_TRUE(kd->Wait().has_value());
  EXPECT_THAT(kd->both(), HasSubstr("the server was only examined"));
}

}  // namespace
}  // namespace longwire::test
