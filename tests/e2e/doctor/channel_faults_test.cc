#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/e2e/doctor/cable.h"
#include "tests/e2e/doctor/doctor_scene.h"

/// What can be wrong with the serial line between kd and kdsrv (com: remoting), done for real with ptys.
namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr char kLink[] = "com:pipe,port=/nowhere/vm.sock";

class DoctorChannel : public DoctorScene {
 protected:
  std::string Line(const Cable& cable, int channel = 3) const {
    return "com:port=" + cable.device() + ",baud=115200,channel=" + std::to_string(channel);
  }
  /// Writes `bytes` into the line again and again while `examined` runs.
  static void Chatter(const Cable& cable, const std::string& bytes, const std::function<void()>& examined) {
    std::atomic<bool> over = false;
    std::thread sender([&] {
      for (; !over; usleep(20'000)) (void)!write(cable.master(), bytes.data(), bytes.size());
    });
    examined();
    over = true;
    sender.join();
  }
  Cable near_, far_;
};

TEST_F(DoctorChannel, TheDevice) {
  ExpectThrough("com:port=/dev/ttyUSB99,baud=115200,channel=1", kLink, "device", Finding::kDeviceMissing,
                {"/dev/ttyUSB99"});
  ExpectThrough("com:port=/dev/null,baud=115200,channel=1", kLink, "device", Finding::kNotSerialLine,
                {"/dev/null"});
  ASSERT_EQ(flock(near_.keeper(), LOCK_EX), 0);
  ExpectThrough(Line(near_), kLink, "use", Finding::kUsedByProgram,
                {"in use by", "process " + std::to_string(getpid())});
  Expect({KDSRV_PATH, "-doctor", "-t", Line(near_)}, "use", Finding::kUsedByProgram, {"in use by"});
}

TEST_F(DoctorChannel, NobodyAtTheOtherEnd) {
  ExpectThrough(Line(near_), kLink, "line", Finding::kLineSilent,
                {"nothing came on " + near_.device(), "channel 3"});
}

TEST_F(DoctorChannel, ALoopbackPlug) {
  Wire back(near_, near_);
  ExpectThrough(Line(near_), kLink, "framing", Finding::kLineEchoes, {"gives back what is sent"});
}

TEST_F(DoctorChannel, AConsoleNoiseOrAKernelAtTheOtherEnd) {
  Chatter(near_, "login: Password: Login incorrect\r\n",
          [&] { ExpectThrough(Line(near_), kLink, "framing", Finding::kTextOnLine, {"they are text"}); });
  Chatter(near_, "\x80\xF8\x01\x9C\xE7\xFF\x83",
          [&] { ExpectThrough(Line(near_), kLink, "framing", Finding::kGarbage, {"no frame among them"}); });
  // A RESET of a kernel's line (kd-protocol.md 2.1).
  Chatter(near_, std::string("iiii\x06\x00\x00\x00\x00\x00\x80\x80\x00\x00\x00\x00", 16),
          [&] { ExpectThrough(Line(near_), kLink, "framing", Finding::kKernelLine, {"kernel target"}); });
}

TEST_F(DoctorChannel, TheServerAtTheOtherEnd) {
  Wire wire(near_, far_);
  StartServer(Line(far_) + ",password=RightHorse7");
  ExpectThrough(Line(near_, 4), kLink, "port", Finding::kChannelRefused, {"no server on channel 4"});
  ExpectThrough(Line(near_), kLink, "password", Finding::kPasswordWanted, {"asks for a password"});
  ExpectThrough(Line(near_) + ",password=WrongHorse7", kLink, "password", Finding::kPasswordWrong,
                {"0x80004005", "ok       port        channel 3 of " + near_.device() + " accepts"});
  // All the way: what is wrong is the link behind the server.
  ExpectThrough(Line(near_) + ",password=RightHorse7", kLink, "device", Finding::kSocketMissing,
                {"/nowhere/vm.sock", "ok       password"});
}

TEST_F(DoctorChannel, TheServerHasNoPassword) {
  Wire wire(near_, far_);
  StartServer(Line(far_));
  ExpectThrough(Line(near_) + ",password=RightHorse7", kLink, "password", Finding::kPasswordNotWanted,
                {"was started without one"});
}

/// The server of one process has the line, whatever the channel; who is refused is told by whom.
TEST_F(DoctorChannel, ASecondProcessOnTheLineIsRefusedByName) {
  StartServer(Line(near_));
  // The test has it open, too.
  const std::string holder = "kdsrv (process " + std::to_string(server_->pid()) + ")";
  ChildProcess second({KDSRV_PATH, "-t", Line(near_, 9)});
  EXPECT_EQ(second.Wait(), ExitCodeFor(Errc::kLinkInUse)) << second.both();
  EXPECT_THAT(second.both(), testing::AllOf(HasSubstr("is in use by "), HasSubstr(holder),
                                            HasSubstr("One process has a line")));
  ChildProcess client({KD_PATH, "-k", "kdsrv:server=@{" + Line(near_, 9) + "},trans=@{" + kLink + "}"});
  EXPECT_EQ(client.Wait(), ExitCodeFor(Errc::kLinkInUse)) << client.both();
  EXPECT_THAT(client.both(), HasSubstr(holder));
  ExpectThrough(Line(near_, 9), kLink, "use", Finding::kUsedByProgram, {holder});
}

TEST_F(DoctorChannel, AServersLineIsFine) {
  EXPECT_THAT(Healthy({KDSRV_PATH, "-doctor", "-t", Line(near_)}), HasSubstr("is a serial line"));
}

}  // namespace
}  // namespace longwire::test
