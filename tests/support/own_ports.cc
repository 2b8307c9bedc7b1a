#include "tests/support/own_ports.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

namespace longwire::test {
namespace {

constexpr int kFirst = 30000, kFirstNet = 61000, kEach = 20, kProcesses = 130;

/// The lock is held until the process ends.
int Reserve() {
  const auto directory = std::filesystem::temp_directory_path();
  for (int i = 0; i < kProcesses; ++i) {
    const std::string path = directory / ("longwire-test-ports-" + std::to_string(i));
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) == 0) return i * kEach;
    if (file >= 0) ::close(file);
  }
  std::abort();
}

int Offset() {
  static const int offset = Reserve();
  return offset;
}

/// Connections of the past do not count, a listener does.
bool IsFree(int type, int port) {
  const int probe = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const int yes = 1;
  if (type == SOCK_STREAM) ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool free = ::bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return free;
}

std::uint16_t NextFree(int type, int first, std::atomic<unsigned>& given) {
  for (int i = 0; i < kEach; ++i) {
    const int port = first + kEach - 1 - static_cast<int>(given++ % kEach);
    if (IsFree(type, port)) return static_cast<std::uint16_t>(port);
  }
  std::abort();
}

}  // namespace

const std::string& OwnPorts() {
  static const std::string ports =
      std::to_string(kFirst + Offset()) + ":" + std::to_string(kFirst + Offset() + kEach - 1);
  return ports;
}

std::uint16_t OwnPort() {
  static std::atomic<unsigned> given = 0;
  return NextFree(SOCK_STREAM, kFirst + Offset(), given);
}

std::uint16_t OwnNetPort() {
  static std::atomic<unsigned> given = 0;
  return NextFree(SOCK_DGRAM, kFirstNet + Offset(), given);
}

}  // namespace longwire::test
