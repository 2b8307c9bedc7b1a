#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/e2e/doctor/cable.h"
#include "tests/e2e/doctor/doctor_scene.h"
#include "tests/support/kdnet_machine.h"
#include "tests/support/loopback.h"
#include "tests/support/own_ports.h"
#include "tests/support/test_machine.h"

/// What can be wrong with a kernel link, done for real: with ptys as serial lines, sockets as virtual
/// machines, and a machine.
namespace longwire::test {
namespace {

using testing::HasSubstr;

class DoctorLink : public DoctorScene {
 protected:
  std::string Pipe(const std::string& path) const { return "com:pipe,port=" + path; }
  std::string Serial(const std::string& path) const { return "com:port=" + path + ",baud=115200"; }
};

TEST_F(DoctorLink, DeviceMissing) {
  ExpectLink("com:port=/dev/ttyUSB99,baud=115200", "device", Finding::kDeviceMissing,
             {"there is no device /dev/ttyUSB99"});
}

TEST_F(DoctorLink, NotASerialLine) {
  ExpectLink("com:port=/dev/null,baud=115200", "device", Finding::kNotSerialLine, {"/dev/null"});
  directory_.Write("file", "text");
  ExpectLink(Serial(directory_.File("file")), "device", Finding::kNotSerialLine, {"is a file"});
}

TEST_F(DoctorLink, PipesThatAreNone) {
  ExpectLink(Pipe(directory_.File("vm.sock")), "device", Finding::kSocketMissing, {"there is no pipe"});
  directory_.Write("file", "text");
  ExpectLink(Pipe(directory_.File("file")), "device", Finding::kNotSocket,
             {"neither a Unix socket nor a pty"});
}

TEST_F(DoctorLink, ASocketThatNobodyListensOn) {
  const std::string path = directory_.File("vm.sock");
  { FakePeer gone(path, FakePeer::SayNothing); }
  ExpectLink(Pipe(path), "use", Finding::kSocketDead, {"nobody listens on " + path});
}

TEST_F(DoctorLink, NoPermission) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  const Cable cable;
  ASSERT_EQ(chmod(cable.device().c_str(), 0660), 0);
  // The program as somebody else may run it, wherever the build is.
  const std::string program = directory_.File("kd");
  std::filesystem::copy_file(KD_PATH, program);
  ASSERT_EQ(chmod(program.c_str(), 0755), 0);
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  Expect({"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "-doctor", "-k",
          Serial(cable.device())},
         "permission", Finding::kNoPermission, {"mode 0660", "may not use it", "members of the group"});
}

TEST_F(DoctorLink, LockedByAnotherProgram) {
  const Cable cable;
  ASSERT_EQ(flock(cable.keeper(), LOCK_EX), 0);
  ExpectLink(Serial(cable.device()), "use", Finding::kUsedByProgram,
             {"in use by", "process " + std::to_string(getpid())});
}

TEST_F(DoctorLink, TheWrongSpeed) {
  const Cable cable;
  // What a UART makes of a faster sender: long runs of low and high bits.
  std::string noise;
  for (int i = 0; i < 400; ++i)
    noise += static_cast<char>((i * 37 % 5 == 0) ? 0x00 : (i % 3 == 0 ? 0xF8 : 0x80 | i));
  std::atomic<bool> over = false;
  std::thread sender([&] {
    for (; !over; usleep(20'000)) (void)!write(cable.master(), noise.data(), noise.size());
  });
  ExpectLink(Serial(cable.device()), "framing", Finding::kGarbage, {"no KD packet", "baud rate"});
  over = true;
  sender.join();
}

TEST_F(DoctorLink, AConsoleOnTheLine) {
  const std::string path = directory_.File("vm.sock");
  std::string boot;
  for (int i = 0; i < 20; ++i) boot += "[    0.0" + std::to_string(i) + "] Linux version, a boot log\r\n";
  FakePeer console(path, FakePeer::Say(boot));
  ExpectLink(Pipe(path), "framing", Finding::kTextOnLine, {"they are text"});
}

TEST_F(DoctorLink, ASilentMachine) {
  const std::string path = directory_.File("vm.sock");
  FakePeer silent(path, FakePeer::SayNothing);
  ExpectLink(Pipe(path), "target", Finding::kTargetSilent, {"no answer to break-in and RESET", "silent"});
}

TEST_F(DoctorLink, TheMachineHangsUp) {
  const std::string path = directory_.File("vm.sock");
  FakePeer closing(path, FakePeer::HangUp);
  ExpectLink(Pipe(path), "line", Finding::kLineClosed, {"closed the line"});
}

TEST_F(DoctorLink, ASerialServerThatIsNotThere) {
  const int port = OwnPort();
  ExpectLink("com:ipport=" + std::to_string(port) + ",port=127.0.0.1", "use", Finding::kLinkUnreachable,
             {"127.0.0.1", "refused"});
}

TEST_F(DoctorLink, ALinkOfAnotherKind) {
  ExpectLink("usb:targetname=box", "device", Finding::kLinkUnsupported, {"usb links are not supported"});
}

TEST_F(DoctorLink, ALinkTheServerDoesNotAllow) {
  StartServer("tcp:port=0", {"--links", "com:port=/dev/ttyUSB*"});
  ExpectThrough(At(port_), Pipe("/run/vm.sock"), "device", Finding::kLinkNotAllowed, {"--links"});
}

TEST_F(DoctorLink, AnotherClientDrivesTheLink) {
  StartServer("tcp:port=0");
  const std::string path = directory_.File("vm.sock");
  FakePeer silent(path, FakePeer::SayNothing);
  ChildProcess holder({KD_PATH, "-k", "kdsrv:server=@{" + At(port_) + "},trans=@{" + Pipe(path) + "}"},
                      ChildProcess::Input::kPipe);
  ASSERT_TRUE(holder.WaitFor("Connected to")) << holder.both();
  ExpectThrough(At(port_), Pipe(path), "use", Finding::kUsedByClient, {"in use by", "@"});
}

TEST_F(DoctorLink, AnotherProgramHoldsTheMachine) {
  std::string error;
  const auto machine = TestMachine::Start({}, &error);
  ASSERT_TRUE(machine) << error;
  const int holder = machine->Connect();
  ASSERT_GE(holder, 0);
  ExpectLink(Pipe(machine->socket_path()), "target", Finding::kUsedByProgram,
             {"another program is connected"});
  close(holder);
}

TEST_F(DoctorLink, ARunningTargetRunsOn) {
  std::string error;
  TestMachineOptions options;
  options.ack_timeout_ms = 1000;
  const auto machine = TestMachine::Start(options, &error);
  ASSERT_TRUE(machine) << error;
  StartServer("tcp:port=0");
  const std::string through =
      "kdsrv:server=@{" + At(port_) + "},trans=@{" + Pipe(machine->socket_path()) + "}";
  // The second time shows that the first left it as it was.
  for (int i = 0; i < 2; ++i) {
    const std::string text = Healthy({KD_PATH, "-doctor", "-k", through});
    EXPECT_THAT(text, HasSubstr("answers: x64"));
    EXPECT_THAT(text, HasSubstr("; it runs"));
    EXPECT_THAT(text, HasSubstr("Nothing is wrong"));
  }
}

TEST_F(DoctorLink, AStoppedTargetStaysStopped) {
  std::string error;
  TestMachineOptions options;
  options.ack_timeout_ms = 1000;
  options.break_at_boot = true;
  const auto machine = TestMachine::Start(options, &error);
  ASSERT_TRUE(machine) << error;
  for (int i = 0; i < 2; ++i) {
    const std::string text = Healthy({KDSRV_PATH, "-doctor", "-k", Pipe(machine->socket_path())});
    EXPECT_THAT(text, HasSubstr("it is stopped and stays so"));
  }
}

std::string NetLink(std::uint16_t port, const std::string& key) {
  return "net:port=" + std::to_string(port) + ",key=" + key;
}

TEST_F(DoctorLink, ANetworkTargetThatSaysHelloSeldomIsWaitedFor) {
  const std::uint16_t port = OwnNetPort();
  // Its first hello comes before anybody listens.
  KdnetMachine machine("1.2.3.4", port, {}, std::chrono::milliseconds(7000));
  usleep(300'000);
  const std::string text = Healthy({KD_PATH, "-doctor", "-k", NetLink(port, "1.2.3.4")});
  EXPECT_THAT(text, HasSubstr("answers: "));
}

TEST_F(DoctorLink, NobodySaysHelloOnTheNetwork) {
  const std::uint16_t port = OwnNetPort();
  ExpectLink(NetLink(port, "1.2.3.4"), "target", Finding::kTargetSilent,
             {"nothing came on UDP port " + std::to_string(port), "no KDNET target said hello"});
}

TEST_F(DoctorLink, ANetworkTargetWithAnotherKey) {
  const std::uint16_t port = OwnNetPort();
  KdnetMachine machine("5.6.7.8", port);
  ExpectLink(NetLink(port, "1.2.3.4"), "framing", Finding::kKeyDiffers,
             {"datagrams come from", "127.0.0.1:" + std::to_string(machine.port())});
}

TEST_F(DoctorLink, AnotherProgramHasTheUdpPort) {
  const std::uint16_t port = OwnNetPort();
  const int holder = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(port);
  ASSERT_EQ(bind(holder, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ExpectLink(NetLink(port, "1.2.3.4"), "use", Finding::kUsedByProgram, {std::to_string(port)});
  close(holder);
}

}  // namespace
}  // namespace longwire::test
