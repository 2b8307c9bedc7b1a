#include "tests/e2e/front_door/crowd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

namespace longwire::test {
namespace {

constexpr unsigned kAddresses = 254;

sockaddr_in Address(std::uint32_t host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(host);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

int Connect(std::uint32_t from, int port) {
  const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0) return -1;
  // The port is chosen when the connection is made, so that many addresses may share one.
  const int yes = 1;
  ::setsockopt(made, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  const sockaddr_in own = Address(from, 0), server = Address(INADDR_LOOPBACK, port);
  if (::bind(made, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 &&
      ::connect(made, reinterpret_cast<const sockaddr*>(&server), sizeof server) == 0) {
    return made;
  }
  ::close(made);
  return -1;
}

}  // namespace

int Crowd::Join() {
  const std::uint32_t from =
      source_ == Source::kOwnAddress ? INADDR_LOOPBACK : 0x7F010001u + next_++ % kAddresses;
  const int made = Connect(from, port_);
  if (made >= 0) sockets_.push_back(made);
  return made;
}

bool Crowd::Scan() {
  const int made = Join();
  if (made < 0) return false;
  const linger at_once{1, 0};
  ::setsockopt(made, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(made);
  sockets_.pop_back();
  return true;
}

void Crowd::Say(int socket, const std::string& bytes) {
  const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  static_cast<void>(sent);
}

void Crowd::HalfClose(int socket) { ::shutdown(socket, SHUT_WR); }

std::size_t Crowd::dropped() const {
  std::size_t count = 0;
  for (const int socket : sockets_) {
    pollfd state{socket, POLLRDHUP, 0};
    if (::poll(&state, 1, 0) > 0) ++count;
  }
  return count;
}

void Crowd::Leave() {
  for (const int socket : sockets_) ::close(socket);
  sockets_.clear();
}

std::string Garbage(unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(64 + random() % 4096, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  if (seed % 3 == 1) bytes.replace(0, 5, std::string("\x16\x03\x01\x02\x00", 5));
  if (seed % 3 == 2) bytes.replace(0, 8, std::string("\x10\x00\x00\x00\x00\x00\x00\x00", 8));
  return bytes;
}

std::size_t RaiseDescriptorLimit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace longwire::test
