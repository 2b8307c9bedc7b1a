#include "tests/support/line_pacer.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <stdexcept>

namespace longwire::test {
namespace {

constexpr std::size_t kUartBuffer = 64;
constexpr std::size_t kLongestQueue = 1u << 20;

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

/// One direction of the line. What is read begins to pass at once, or when the line is done with what came
/// before; so a thread that wakes up late delivers late, but does not make the line slower.
struct Direction {
  int from, to;
  std::atomic<std::uint64_t>& count;
  double seconds_per_byte;
  std::deque<char> held = {};
  double free = 0;  ///< when the line will have passed everything held

  bool takes() const { return held.size() < kLongestQueue; }
  double Begin() const { return free - static_cast<double>(held.size()) * seconds_per_byte; }
  /// When the next bytes have passed: as many as a UART hands over at once.
  double NextDue() const {
    return Begin() + static_cast<double>(std::min(held.size(), kUartBuffer)) * seconds_per_byte;
  }

  /// Reads what there is, and hands on what has passed. False: an end closed.
  bool Turn(double now, bool readable) {
    if (readable) {
      char buffer[4096];
      const ssize_t n = read(from, buffer, sizeof buffer);
      if (n <= 0) return false;
      held.insert(held.end(), buffer, buffer + n);
      free = std::max(free, now) + static_cast<double>(n) * seconds_per_byte;
    }
    while (!held.empty() && now >= NextDue()) {
      char passed[kUartBuffer];
      const std::size_t n = std::min(held.size(), kUartBuffer);
      std::copy_n(held.begin(), n, passed);
      held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(n));
      if (send(to, passed, n, MSG_NOSIGNAL) != static_cast<ssize_t>(n)) return false;
      count += n;
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
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 1) != 0) {
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
    Direction up{far, near, bytes_up_, seconds_per_byte_}, down{near, far, bytes_down_, seconds_per_byte_};
    for (;;) {
      const double now = Now();
      double next = now + 3600;
      if (!up.held.empty()) next = std::min(next, up.NextDue());
      if (!down.held.empty()) next = std::min(next, down.NextDue());
      pollfd ends[3] = {{far, static_cast<short>(up.takes() ? POLLIN : 0), 0},
                        {near, static_cast<short>(down.takes() ? POLLIN : 0), 0},
                        {stop_, POLLIN, 0}};
      const double left = std::max(0.0, next - now);
      const timespec limit{static_cast<time_t>(left),
                           static_cast<long>((left - static_cast<double>(static_cast<time_t>(left))) * 1e9)};
      if (ppoll(ends, 3, &limit, nullptr) < 0 || ends[2].revents) break;
      const double woken = Now();
      if (!up.Turn(woken, ends[0].revents & (POLLIN | POLLHUP))) break;
      if (!down.Turn(woken, ends[1].revents & (POLLIN | POLLHUP))) break;
    }
  }
  if (near >= 0) close(near);
  close(far);
}

}  // namespace longwire::test
