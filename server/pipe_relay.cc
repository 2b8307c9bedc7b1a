#include "server/pipe_relay.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>

#include "transport/endpoint_pipe.h"
#include "transport/remote_pipe.h"
#include "transport/scoped_descriptor.h"

namespace longwire {
namespace {

bool WriteWhole(int to, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t count = ::write(to, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

/// False at the end of `from`, or when `to` takes no more.
bool Carry(int from, int to) {
  std::array<char, 65536> bytes;
  const ssize_t count = ::read(from, bytes.data(), bytes.size());
  if (count < 0 && errno == EINTR) return true;
  return count > 0 && WriteWhole(to, bytes.data(), static_cast<std::size_t>(count));
}

/// Until the server ends the connection. The client's end is passed on as a half-close.
void Relay(int pipe) {
  std::array<pollfd, 2> waits{{{STDIN_FILENO, POLLIN, 0}, {pipe, POLLIN, 0}}};
  for (;;) {
    if (::poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (waits[1].revents != 0 && !Carry(pipe, STDOUT_FILENO)) return;
    if (waits[0].revents != 0 && !Carry(STDIN_FILENO, pipe)) {
      ::shutdown(pipe, SHUT_WR);
      waits[0].fd = -1;
    }
  }
}

}  // namespace

int RelayPipe(const std::string& name) {
  if (const auto checked = CheckPipeName(name); !checked) {
    std::cerr << "kdsrv: " << checked.error().message << "\n";
    return ExitCodeFor(checked.error().code);
  }
  const std::string path = PipePath(name, ProcessEnvironment());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const ScopedDescriptor pipe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const bool fits = path.size() < sizeof(address.sun_path);
  if (fits) std::memcpy(address.sun_path, path.data(), path.size());
  if (!fits || ::connect(pipe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    std::cerr << "kdsrv: no server listens on the pipe " << name << " of this user.\n";
    return ExitCodeFor(Errc::kUnreachable);
  }
  if (WriteWhole(STDOUT_FILENO, kPipeGreeting.data(), kPipeGreeting.size())) Relay(pipe.get());
  return 0;
}

}  // namespace longwire
