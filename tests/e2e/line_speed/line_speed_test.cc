// Ctrl-A: the speed of a kernel link's serial device, which is a pty here, of the real kdsrv.
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "tests/e2e/doctor/cable.h"
#include "tests/support/child_process.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/test_machine.h"

// <sys/ioctl.h> brings its own struct termios.
extern "C" int ioctl(int descriptor, unsigned long request, ...) noexcept;

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr unsigned kSpeedOfTheMachine = 115200;

/// A machine at the end of a cable: what passes while the device runs at another speed is not what was sent.
class SlowMachine {
 public:
  explicit SlowMachine(const TestMachine& machine) : port_(machine.Connect()) {
    EXPECT_GE(port_, 0);
    EXPECT_EQ(pipe(stop_), 0);
    thread_ = std::thread([this] { Carry(); });
  }
  ~SlowMachine() {
    close(stop_[1]);
    thread_.join();
    close(stop_[0]);
    close(port_);
  }
  const std::string& device() const { return cable_.device(); }
  unsigned speed() const {
    termios2 settings{};
    return ioctl(cable_.keeper(), TCGETS2, &settings) == 0 ? settings.c_ospeed : 0;
  }

 private:
  void Carry() const {
    for (;;) {
      pollfd watched[3] = {{cable_.master(), POLLIN, 0}, {port_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
      if (poll(watched, 3, -1) < 0) continue;
      if (watched[2].revents != 0) return;
      if (watched[0].revents != 0) Pass(cable_.master(), port_);
      if (watched[1].revents != 0) Pass(port_, cable_.master());
    }
  }
  void Pass(int from, int to) const {
    unsigned char bytes[4096];
    const ssize_t count = read(from, bytes, sizeof bytes);
    if (speed() != kSpeedOfTheMachine) {
      for (ssize_t i = 0; i < count; ++i) bytes[i] = static_cast<unsigned char>(bytes[i] * 5 + 0x83);
    }
    for (ssize_t done = 0; done < count;) {
      const ssize_t written = write(to, bytes + done, static_cast<std::size_t>(count - done));
      if (written > 0) done += written;
      pollfd room{to, POLLOUT, 0};
      if (written <= 0 && poll(&room, 1, 1000) <= 0) return;  // nobody reads: lost, as on a line
    }
  }

  Cable cable_;
  int port_ = -1, stop_[2] = {-1, -1};
  std::thread thread_;
};

class LineSpeed : public testing::Test {
 protected:
  void SetUp() override {
    std::string error;
    machine_ = TestMachine::Start({}, &error);
    ASSERT_TRUE(machine_) << error;
    ASSERT_NE(server_.port(), 0);
  }
  std::unique_ptr<ChildProcess> StartKd(const std::string& link, const std::string& option) const {
    return std::make_unique<ChildProcess>(
        std::vector<std::string>{KD_PATH, option, "-kqm", "--wait", "600", "-y", machine_->symbol_directory(),
                                 "-k", server_.KernelStringFor(link)},
        ChildProcess::Input::kPipe);
  }

  std::unique_ptr<TestMachine> machine_;
  KdsrvProcess server_{KDSRV_PATH, "speedsecret"};
};

TEST_F(LineSpeed, AWrongOneIsPutRightAndTheOthersFollow) {
  const SlowMachine line(*machine_);
  const std::string link = "com:port=" + line.device() + ",baud=57600";
  const auto kd = StartKd(link, "-bonc");
  ASSERT_TRUE(kd->WaitFor("Connected to ")) << kd->both();
  EXPECT_EQ(line.speed(), 57600u);
  kd->Signal(SIGINT);
  ASSERT_TRUE(kd->WaitFor("Ctrl-C again gives a prompt")) << kd->both();
  kd->Signal(SIGINT);
  ASSERT_TRUE(kd->WaitFor("kd> ")) << kd->both();
  kd->Write("\x01\n");
  ASSERT_TRUE(kd->WaitFor("The line runs at 115200 baud.")) << kd->both();
  EXPECT_EQ(line.speed(), kSpeedOfTheMachine);
  ASSERT_TRUE(kd->WaitFor("nt!DbgBreakPointWithStatus:")) << kd->both();
  kd->Write(".linkinfo\n");
  EXPECT_TRUE(kd->WaitFor("Speed: 115200 baud")) << kd->both();

  const auto observer = StartKd(link, "--observe");
  ASSERT_TRUE(observer->WaitFor("kd> ")) << observer->both();
  observer->Write(".ctrl a\nq\n");
  EXPECT_TRUE(observer->WaitFor("drives the target and this kd only watches")) << observer->both();
  EXPECT_EQ(line.speed(), kSpeedOfTheMachine);

  for (const unsigned speed : {19200u, 38400u, 57600u, kSpeedOfTheMachine}) {
    kd->Write(speed == 38400 ? ".ctrl A\n" : "\x01\n");
    ASSERT_TRUE(kd->WaitFor("The line runs at " + std::to_string(speed) + " baud.")) << kd->both();
    EXPECT_EQ(line.speed(), speed);
  }
  kd->Write("dw nt L1\nqd\n");
  EXPECT_TRUE(kd->WaitFor("5a4d")) << kd->both();
  EXPECT_EQ(kd->Wait(), 0) << kd->both();
}

TEST_F(LineSpeed, ALinkWithoutOneSaysSo) {
  const auto kd = StartKd("com:pipe,port=" + machine_->socket_path(), "-bonc");
  ASSERT_TRUE(kd->WaitFor("kd> ")) << kd->both();
  kd->Write(".ctrl a\n.linkinfo\nqd\n");
  EXPECT_TRUE(kd->WaitFor("this link has no line speed to change")) << kd->both();
  EXPECT_EQ(kd->Wait(), 0) << kd->both();
  EXPECT_THAT(kd->both(), HasSubstr("Link: "));
  EXPECT_THAT(kd->both(), Not(HasSubstr("Speed: ")));
}

}  // namespace
}  // namespace longwire::test
