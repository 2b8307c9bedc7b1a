#include "tests/e2e/doctor/cable.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

namespace longwire::test {
namespace {

void Carry(int from, int to) {
  char bytes[4096];
  const ssize_t count = read(from, bytes, sizeof bytes);
  for (ssize_t done = 0; done < count;) {
    const ssize_t written = write(to, bytes + done, static_cast<std::size_t>(count - done));
    if (written > 0) {
      done += written;
    } else {
      pollfd room{to, POLLOUT, 0};
      if (poll(&room, 1, 1000) <= 0) return;  // nobody reads: lost, as on a line
    }
  }
}

}  // namespace

Cable::Cable() : master_(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) {
  EXPECT_GE(master_, 0);
  EXPECT_EQ(grantpt(master_), 0);
  EXPECT_EQ(unlockpt(master_), 0);
  char name[64] = "";
  EXPECT_EQ(ptsname_r(master_, name, sizeof name), 0);
  device_ = name;
  keeper_ = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);  // without one the master reads errors
  termios raw{};
  tcgetattr(keeper_, &raw);
  cfmakeraw(&raw);
  tcsetattr(keeper_, TCSANOW, &raw);
}

Cable::~Cable() {
  close(keeper_);
  close(master_);
}

Wire::Wire(const Cable& one, const Cable& other) {
  EXPECT_EQ(pipe2(stop_, O_CLOEXEC), 0);
  thread_ = std::thread([this, a = one.master(), b = other.master()] {
    for (;;) {
      pollfd watched[3] = {{a, POLLIN, 0}, {b, POLLIN, 0}, {stop_[0], POLLIN, 0}};
      if (poll(watched, 3, -1) < 0) continue;
      if (watched[2].revents != 0) return;
      if (watched[0].revents != 0) Carry(a, b);
      if (watched[1].revents != 0 && a != b) Carry(b, a);
    }
  });
}

Wire::~Wire() {
  close(stop_[1]);
  thread_.join();
  close(stop_[0]);
}

}  // namespace longwire::test
