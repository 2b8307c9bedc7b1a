#include "tests/support/line_pacer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace longwire::test {
namespace {

constexpr std::size_t kUartBuffer = 64;

double Now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("socket path too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

/// One direction of the line.
struct Direction {
  int from, to;
  std::atomic<std::uint64_t>& count;
  char buffer[kUartBuffer];
  std::size_t held = 0;
  double due = 0;  // when the bytes held have passed the line

  /// Reads what the line can take, and hands on what has passed. False: an end closed.
  bool Turn(double now, double seconds_per_byte, bool readable) {
    if (held == 0 && readable) {
      const ssize_t n = read(from, buffer, sizeof buffer);
      if (n <= 0) return false;
      held = static_cast<std::size_t>(n);
      due = std::max(due, now) + static_cast<double>(n) * seconds_per_byte;
    }
    if (held != 0 && now >= due) {
      if (send(to, buffer, held, MSG_NOSIGNAL) != static_cast<ssize_t>(held)) return false;
      count += held;
      held = 0;
    }
    return true;
  }
};

}  // namespace

LinePacer::LinePacer(const std::string& listen_path, std::string connect_path, unsigned baud)
    : listen_path_(listen_path), connect_path_(std::move(connect_path)), seconds_per_byte_(10.0 / baud) {
  const sockaddr_un address = AddressOf(listen_path);
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = eventfd(0, EFD_CLOEXEC);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 1) != 0) {
    throw std::runtime_error("cannot listen on " + listen_path + ": " + std::strerror(errno));
  }
  thread_ = std::thread([this] { Run(); });
}

LinePacer::~LinePacer() {
  const std::uint64_t one = 1;
  if (write(stop_, &one, sizeof one) != sizeof one) std::abort();
  thread_.join();
  close(listener_);
  close(stop_);
  unlink(listen_path_.c_str());
}

void LinePacer::Run() {
  pollfd wait[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
  if (poll(wait, 2, -1) < 0 || wait[1].revents) return;
  const int near = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  const int far = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = AddressOf(connect_path_);
  if (near >= 0 && connect(far, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    Direction up{far, near, bytes_up_, {}, 0, 0}, down{near, far, bytes_down_, {}, 0, 0};
    for (;;) {
      const double now = Now();
      double next = now + 3600;
      if (up.held) next = std::min(next, up.due);
      if (down.held) next = std::min(next, down.due);
      pollfd ends[3] = {{far, static_cast<short>(up.held ? 0 : POLLIN), 0},
                        {near, static_cast<short>(down.held ? 0 : POLLIN), 0},
                        {stop_, POLLIN, 0}};
      const double left = std::max(0.0, next - now);
      const timespec limit{static_cast<time_t>(left), static_cast<long>((left - static_cast<double>(static_cast<time_t>(left))) * 1e9)};
      if (ppoll(ends, 3, &limit, nullptr) < 0 || ends[2].revents) break;
      const double woken = Now();
      if (!up.Turn(woken, seconds_per_byte_, ends[0].revents & (POLLIN | POLLHUP))) break;
      if (!down.Turn(woken, seconds_per_byte_, ends[1].revents & (POLLIN | POLLHUP))) break;
    }
  }
  if (near >= 0) close(near);
  close(far);
}

}  // namespace longwire::test
