#include "tests/e2e/acceptance/recording_relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/loopback.h"

namespace longwire::test {
namespace {

bool SendAll(int socket, const char* bytes, ssize_t count) {
  while (count > 0) {
    const ssize_t sent = send(socket, bytes, static_cast<size_t>(count), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    count -= sent;
  }
  return true;
}

}  // namespace

RecordingRelay::RecordingRelay(int server_port) : server_port_(server_port) {
  listener_ = ListenOnLoopback(4, &port_);
  if (listener_ < 0 || pipe2(stop_, O_CLOEXEC) != 0) return;
  thread_ = std::thread([this] { Accept(); });
}

RecordingRelay::~RecordingRelay() {
  close(stop_[1]);
  if (thread_.joinable()) thread_.join();
  close(stop_[0]);
  close(listener_);
}

std::string RecordingRelay::recorded() const {
  const std::lock_guard lock(mutex_);
  return recorded_;
}

std::string RecordingRelay::from_client() const {
  const std::lock_guard lock(mutex_);
  return from_[0];
}
std::string RecordingRelay::from_server() const {
  const std::lock_guard lock(mutex_);
  return from_[1];
}

/// One connection after the other.
void RecordingRelay::Accept() {
  while (true) {
    pollfd watched[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    if (poll(watched, 2, -1) < 0 || watched[1].revents != 0) return;
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) return;
    Pump(client);
    close(client);
  }
}

void RecordingRelay::Pump(int client) {
  const int server = DialLoopback(server_port_);
  if (server < 0) return;
  const int ends[2] = {client, server};
  for (bool open = true; open;) {
    pollfd watched[3] = {{client, POLLIN, 0}, {server, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    if (poll(watched, 3, -1) < 0 || watched[2].revents != 0) break;
    for (int i = 0; i < 2 && open; ++i) {
      if (watched[i].revents == 0) continue;
      char buffer[16384];
      const ssize_t got = recv(ends[i], buffer, sizeof buffer, 0);
      open = got > 0 && SendAll(ends[1 - i], buffer, got);
      if (got <= 0) continue;
      const std::lock_guard lock(mutex_);
      recorded_.append(buffer, static_cast<size_t>(got));
      from_[i].append(buffer, static_cast<size_t>(got));
    }
  }
  close(server);
}

}  // namespace longwire::test
