#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/rpc/frame.h"
#include "tests/e2e/doctor/doctor_scene.h"
#include "tests/support/loopback.h"
#include "tests/support/own_ports.h"

/// What can be wrong between kd and kdsrv, done for real.
namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kLink[] = "com:pipe,port=/nowhere/vm.sock";
constexpr char kGood[] = "RightHorse7";

class DoctorServer : public DoctorScene {
 protected:
  static std::string WithPassword(const std::string& server, const std::string& password) {
    return server + ",password=" + password;
  }
};

TEST_F(DoctorServer, UnknownHost) {
  const char* name = "nobody-has-this-name.invalid";
  addrinfo* found = nullptr;
  const int outcome = getaddrinfo(name, nullptr, nullptr, &found);
  ASSERT_NE(outcome, 0) << "somebody resolves .invalid";
  // Without a name service the truth is that it does not answer.
  ExpectThrough("tcp:server=" + std::string(name) + ",port=1234", kLink, "name",
                outcome == EAI_AGAIN ? Finding::kNameServiceSilent : Finding::kNameUnknown, {name});
}

TEST_F(DoctorServer, AddressOfTheOtherFamily) {
  ExpectThrough("tcp:server=127.0.0.1,port=1234,ipversion=6", kLink, "name", Finding::kNoAddressOfFamily,
                {"127.0.0.1 has no IPv6 address"});
}

TEST_F(DoctorServer, NoRoute) {
  ChildProcess possible({"/usr/bin/unshare", "-n", "/bin/true"});
  if (possible.Wait() != 0) GTEST_SKIP() << "no network namespaces here";
  Expect({"/usr/bin/unshare", "-n", KD_PATH, "-doctor", "-k",
          "kdsrv:server=@{tcp:server=192.0.2.1,port=1234},trans=@{com:}"},
         "route", Finding::kNoRoute, {"no route to 192.0.2.1"});
}

TEST_F(DoctorServer, NobodyListens) {
  const int port = OwnPort();
  ExpectThrough(At(port), kLink, "port", Finding::kPortRefused, {"nothing listens", std::to_string(port)});
}

TEST_F(DoctorServer, PacketsAreSwallowed) {
  // A full queue of connections drops what comes, as a firewall does.
  int port = 0;
  const int listener = ListenOnLoopback(0, &port);
  sockaddr_in address = Loopback(port);
  std::vector<int> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)connect(fillers.back(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  ExpectThrough(At(port), kLink, "port", Finding::kPortNoAnswer, {"timed out"});
  for (const int filler : fillers) close(filler);
  close(listener);
}

TEST_F(DoctorServer, AcceptsAndNeverSpeaks) {
  FakePeer silent(FakePeer::SayNothing);
  ExpectThrough(At(silent.port()), kLink, "version", Finding::kServerSilent, {"says nothing"});
  ExpectThrough(WithPassword(At(silent.port()), kGood), kLink, "tls", Finding::kServerSilent,
                {"says nothing"});
}

TEST_F(DoctorServer, AnotherServiceListens) {
  FakePeer web(FakePeer::Answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
  ExpectThrough(At(web.port()), kLink, "version", Finding::kNotLongwire, {"an HTTP server"});
  ExpectThrough(WithPassword(At(web.port()), kGood), kLink, "tls", Finding::kNotLongwire, {"an HTTP server"});
  FakePeer shell(FakePeer::Say("SSH-2.0-OpenSSH_9.2\r\n"));
  ExpectThrough(At(shell.port()), kLink, "version", Finding::kNotLongwire, {"an SSH server"});
}

TEST_F(DoctorServer, EndsTheConnectionAtOnce) {
  FakePeer closing(FakePeer::HangUp);
  ExpectThrough(At(closing.port()), kLink, "version", Finding::kNotLongwire, {"without a word"});
}

TEST_F(DoctorServer, AVersionNobodySpeaks) {
  rpc::Welcome newer;
  newer.protocol = rpc::kProtocolMaximum + 6;
  const auto frame = rpc::EncodeFrameHead({0, newer, {}});
  FakePeer server(FakePeer::Answer(std::string(reinterpret_cast<const char*>(frame.data()), frame.size())));
  ExpectThrough(At(server.port()), kLink, "version", Finding::kVersionMismatch,
                {"do not use the same remoting protocol version"});
}

TEST_F(DoctorServer, AServerTooOldToExamine) {
  const auto frame = rpc::EncodeFrameHead({0, rpc::Welcome{}, {}});
  FakePeer server(FakePeer::Answer(std::string(reinterpret_cast<const char*>(frame.data()), frame.size())));
  ExpectThrough(At(server.port()), kLink, "device", Finding::kServerCannotDiagnose, {"too old"});
}

TEST_F(DoctorServer, Passwords) {
  StartServer("tcp:port=0,password=" + std::string(kGood));
  ExpectThrough(WithPassword(At(port_), "WrongHorse7"), kLink, "password", Finding::kPasswordWrong,
                {"0x80004005"});
  ExpectThrough(At(port_), kLink, "password", Finding::kPasswordWanted, {"asks for a password and got none"});
  ChildProcess doctor({KD_PATH, "-doctor", "-k",
                       "kdsrv:server=@{" + WithPassword(At(port_), "WrongHorse7") + "},trans=@{com:}"});
  ASSERT_EQ(doctor.Wait(), 3);
  EXPECT_THAT(doctor.both(), Not(HasSubstr("WrongHorse7")));
}

TEST_F(DoctorServer, APasswordForAServerWithoutOne) {
  StartServer("tcp:port=0");
  ExpectThrough(WithPassword(At(port_), kGood), kLink, "password", Finding::kPasswordNotWanted,
                {"was started without one"});
}

TEST_F(DoctorServer, Pipes) {
  StartServer("npipe:pipe=kdlab");
  ExpectThrough("npipe:server=.,pipe=kdlap", kLink, "port", Finding::kPipeMissing,
                {"kdlap", "there are: kdlab"});
  ExpectThrough("npipe:server=.,pipe=kdlab", kLink, "device", Finding::kSocketMissing, {"/nowhere/vm.sock"});
  server_->Signal(SIGKILL);
  ASSERT_TRUE(server_->Wait().has_value());
  ExpectThrough("npipe:server=.,pipe=kdlab", kLink, "port", Finding::kPipeDead, {"nobody listens"});
}

TEST_F(DoctorServer, WhatAServerIsToListenOn) {
  StartServer("tcp:port=0");
  Expect({KDSRV_PATH, "-doctor", "-t", "tcp:port=" + std::to_string(port_)}, "port", Finding::kPortTaken,
         {"taken by kdsrv (process " + std::to_string(server_->pid()) + ")"});
  StartServer("npipe:pipe=kdlab");
  Expect({KDSRV_PATH, "-doctor", "-t", "npipe:pipe=kdlab"}, "port", Finding::kPipeTaken, {"Another server"});
  Expect({KDSRV_PATH, "-doctor", "-t", "ssl:proto=tls1,certuser=nobody,port=0"}, "tls",
         Finding::kCertificateUnusable, {"nobody"});
  EXPECT_THAT(Healthy({KDSRV_PATH, "-doctor", "-t", "tcp:port=0,password=" + std::string(kGood)}),
              HasSubstr("Nothing is wrong"));
}

TEST_F(DoctorServer, JsonHasEveryStep) {
  const int port = OwnPort();
  ChildProcess doctor({KD_PATH, "-doctor", "--json", "-k",
                       "kdsrv:server=@{" + WithPassword(At(port), kGood) + "},trans=@{com:}"});
  EXPECT_EQ(doctor.Wait(), 4);
  const std::string text = doctor.out();
  EXPECT_EQ(text.front(), '{');
  EXPECT_THAT(text, HasSubstr(R"("step":"port","outcome":"failed")"));
  EXPECT_THAT(text, HasSubstr(R"("code":"LW-D301","name":"port-refused")"));
  EXPECT_THAT(text, HasSubstr(R"("step":"target","outcome":"skipped")"));
  EXPECT_THAT(text, HasSubstr(R"("failure":"LW-D301","exit":4)"));
  EXPECT_THAT(text, Not(HasSubstr(kGood)));
}

TEST_F(DoctorServer, CtrlCEndsIt) {
  FakePeer silent(FakePeer::SayNothing);
  ChildProcess doctor({KD_PATH, "-doctor", "-k", "kdsrv:server=@{" + At(silent.port()) + "},trans=@{com:}"});
  ASSERT_TRUE(doctor.WaitFor("accepts connections")) << doctor.both();
  doctor.Signal(SIGINT);
  EXPECT_EQ(doctor.Wait(), 130) << doctor.both();
  EXPECT_THAT(doctor.both(), HasSubstr("Interrupted"));
}

/// A TLS server with certificates of a lab of its own.
class DoctorTls : public DoctorServer {
 protected:
  void SetUp() override {
    if (Shell("command -v openssl") != 0) GTEST_SKIP() << "no openssl program";
    const std::string make = LONGWIRE_SOURCE_DIR "/scripts/make_lab_ca ";
    ASSERT_EQ(Shell(make + store() + " localhost other"), 0);
    ASSERT_EQ(Shell("LAB_CA_DAYS=-1 " + make + store() + " old"), 0);
    ASSERT_EQ(Shell(make + directory_.File("elsewhere") + " stranger"), 0);
    ASSERT_EQ(Shell("cp " + directory_.File("elsewhere") + "/lab-ca.pem " + store() + "/stranger-ca.pem"), 0);
  }
  std::string store() const { return directory_.File("config/longwire/certificates"); }
  static int Shell(const std::string& command) { return system((command + " >/dev/null 2>&1").c_str()); }

  /// `openssl s_server` with that certificate: kdsrv refuses to start with a bad one.
  void StartTls(const std::string& certificate) {
    port_ = OwnPort();
    server_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{
            "/usr/bin/openssl", "s_server", "-accept", "127.0.0.1:" + std::to_string(port_), "-cert",
            store() + "/" + certificate + ".pem", "-key", store() + "/" + certificate + ".key"},
        ChildProcess::Input::kPipe);
    ASSERT_TRUE(server_->WaitFor("ACCEPT")) << server_->both();
  }
  std::string Ssl(const std::string& certificate) const {
    return "ssl:proto=tls1,certuser=" + certificate + ",server=localhost,port=" + std::to_string(port_);
  }
};

TEST_F(DoctorTls, ExpiredCertificate) {
  StartTls("old");
  ExpectThrough(Ssl("lab-ca"), kLink, "tls", Finding::kCertificateExpired, {"expired on", "old"});
}

TEST_F(DoctorTls, CertificateOfAnotherHost) {
  StartTls("other");
  ExpectThrough(Ssl("lab-ca"), kLink, "tls", Finding::kCertificateOtherName, {"hostname mismatch", "other"});
}

TEST_F(DoctorTls, UnknownAuthority) {
  StartTls("localhost");
  ExpectThrough(Ssl("stranger-ca"), kLink, "tls", Finding::kCertificateUnknownAuthority, {"localhost"});
}

TEST_F(DoctorTls, NotThePinnedOne) {
  StartTls("localhost");
  ExpectThrough(Ssl("other"), kLink, "tls", Finding::kCertificateNotPinned, {"not the one that other names"});
}

TEST_F(DoctorTls, AClientCertificateIsDemanded) {
  ASSERT_EQ(Shell("cp " + store() + "/lab-ca.pem " + store() + "/localhost.clients.pem"), 0);
  StartServer("ssl:proto=tls1,certuser=localhost,port=0");
  ExpectThrough(Ssl("lab-ca"), kLink, "tls", Finding::kClientCertificateWanted, {"certificate"});
}

TEST_F(DoctorTls, OneSideOnly) {
  StartServer("ssl:proto=tls1,certuser=localhost,port=0");
  ExpectThrough("tcp:server=localhost,port=" + std::to_string(port_), kLink, "tls", Finding::kServerWantsTls,
                {"speaks ssl:"});
  StartServer("tcp:port=0");
  ExpectThrough(Ssl("lab-ca"), kLink, "tls", Finding::kServerWithoutTls, {"speaks no TLS"});
}

}  // namespace
}  // namespace longwire::test
