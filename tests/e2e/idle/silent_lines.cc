#include "tests/e2e/idle/silent_lines.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace longwire::test {
namespace {

/// Connections are made by the kernel and never taken.
int ListenOn(const std::string& path) {
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (made < 0 || ::bind(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return -1;
  ::listen(made, 8);
  return made;
}

}  // namespace

void SilentLines::AddSockets(int count) {
  for (int i = 0; i < count; ++i) {
    const std::string path = Next();
    descriptors_.emplace_back(ListenOn(path));
    links_.push_back("com:pipe,port=" + path);
  }
}

void SilentLines::AddTerminals(int count) {
  for (int i = 0; i < count; ++i) {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    descriptors_.emplace_back(master);
    char name[64] = "";
    if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0 ||
        ::ptsname_r(master, name, sizeof name) != 0)
      continue;
    links_.push_back("com:port=" + std::string(name) + ",baud=115200");
  }
}

void SilentLines::AddAbsent(int count) {
  for (int i = 0; i < count; ++i) links_.push_back("com:pipe,port=" + Next() + ",reconnect");
}

void SilentLines::AddListening(int count) {
  for (int i = 0; i < count; ++i) links_.push_back("com:pipe,port=" + Next() + ",listen");
}

std::string SilentLines::Network() {
  return "net:port=" + std::to_string(net_port_) + ",key=1.2.3." + std::to_string(links_.size() + 1);
}

void SilentLines::AddNetworks(int count) {
  for (int i = 0; i < count; ++i) links_.push_back(Network());
}

void SilentLines::AddPoked(int count) {
  for (int i = 0; i < count; ++i) links_.push_back(Network() + ",target=127.0.0.1");
}

}  // namespace longwire::test
