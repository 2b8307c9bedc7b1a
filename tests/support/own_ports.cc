#include "tests/support/own_ports.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace longwire::test {
namespace {

constexpr int kFirst = 30000, kEach = 20, kProcesses = 130;

/// The lock is held until the process ends.
std::string Reserve() {
  const auto directory = std::filesystem::temp_directory_path();
  for (int i = 0; i < kProcesses; ++i) {
    const std::string path = directory / ("longwire-test-ports-" + std::to_string(i));
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) == 0) {
      const int first = kFirst + i * kEach;
      return std::to_string(first) + ":" + std::to_string(first + kEach - 1);
    }
    if (file >= 0) ::close(file);
  }
  std::abort();
}

}  // namespace

const std::string& OwnPorts() {
  static const std::string ports = Reserve();
  return ports;
}

}  // namespace longwire::test
