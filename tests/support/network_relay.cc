#include "tests/support/network_relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "tests/support/loopback.h"

namespace longwire::test {
namespace {

/// One read, passed on whole. False: one of the two is gone.
bool Pass(int from, int to) {
  char buffer[16384];
  ssize_t left = recv(from, buffer, sizeof buffer, 0);
  if (left <= 0) return false;
  for (const char* bytes = buffer; left > 0;) {
    const ssize_t sent = send(to, bytes, static_cast<size_t>(left), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    left -= sent;
  }
  return true;
}

}  // namespace

NetworkRelay::NetworkRelay(int server_port) : server_port_(server_port) {
  listener_ = ListenOnLoopback(64, &port_);
  if (listener_ < 0 || pipe2(bell_, O_CLOEXEC | O_NONBLOCK) != 0) return;
  thread_ = std::thread([this] { Run(); });
}

NetworkRelay::~NetworkRelay() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  Ring();
  if (thread_.joinable()) thread_.join();
  close(bell_[0]);
  close(bell_[1]);
  close(listener_);
}

void NetworkRelay::Vanish() {
  {
    const std::lock_guard lock(mutex_);
    vanished_ = true;
  }
  Ring();
}

void NetworkRelay::Return() {
  {
    const std::lock_guard lock(mutex_);
    vanished_ = false;
    cut_ = true;
  }
  Ring();
}

void NetworkRelay::Cut() {
  {
    const std::lock_guard lock(mutex_);
    cut_ = true;
  }
  Ring();
}

int NetworkRelay::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

void NetworkRelay::Ring() const { [[maybe_unused]] const ssize_t written = write(bell_[1], "!", 1); }

void NetworkRelay::CloseAll() {
  for (const Pair& pair : pairs_) {
    close(pair.client);
    close(pair.server);
  }
  pairs_.clear();
}

bool NetworkRelay::Accept() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return false;
  const int server = DialLoopback(server_port_);
  if (server < 0) {
    close(client);
    return true;
  }
  pairs_.push_back({client, server});
  const std::lock_guard lock(mutex_);
  ++connections_;
  return true;
}

void NetworkRelay::Pump(Pair& pair, bool from_client, bool from_server) {
  const bool open =
      (!from_client || Pass(pair.client, pair.server)) && (!from_server || Pass(pair.server, pair.client));
  if (open) return;
  close(pair.client);
  close(pair.server);
  pair = {};
}

void NetworkRelay::Run() {
  while (true) {
    bool vanished = false;
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return CloseAll();
      if (std::exchange(cut_, false)) CloseAll();
      vanished = vanished_;
    }
    std::vector<pollfd> watched{{bell_[0], POLLIN, 0}};
    if (!vanished) {
      watched.push_back({listener_, POLLIN, 0});
      for (const Pair& pair : pairs_) {
        watched.push_back({pair.client, POLLIN, 0});
        watched.push_back({pair.server, POLLIN, 0});
      }
    }
    if (poll(watched.data(), watched.size(), -1) < 0) continue;
    char rings[64];
    // What was rung for is looked at before anything else passes.
    if (watched[0].revents != 0 && read(bell_[0], rings, sizeof rings) > 0) continue;
    const std::size_t count = (watched.size() - 2) / 2;
    for (std::size_t i = 0; i < count; ++i)
      Pump(pairs_[i], watched[2 + 2 * i].revents != 0, watched[3 + 2 * i].revents != 0);
    std::erase_if(pairs_, [](const Pair& pair) { return pair.client < 0; });
    if (watched[1].revents != 0 && !Accept()) return CloseAll();
  }
}

}  // namespace longwire::test
