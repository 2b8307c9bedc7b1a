#include "server/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

namespace longwire {

Result<Background> Background::Enter() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return Error{Errc::kIo, std::string("cannot go into the background: ") + std::strerror(errno), 0, errno};
  }
  const pid_t child = ::fork();
  if (child < 0)
    return Error{Errc::kIo, std::string("cannot go into the background: ") + std::strerror(errno), 0, errno};
  if (child > 0) {
    ::close(ends[1]);
    char ready = 0;
    if (::read(ends[0], &ready, 1) == 1) ::_exit(0);
    int status = 0;
    ::waitpid(child, &status, 0);
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
  ::close(ends[0]);
  ::setsid();
  Background background;
  background.ready_ = ends[1];
  return background;
}

void Background::Ready() {
  if (ready_ < 0) return;
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) {
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, standard);
    ::close(null);
  }
  const char ready = 1;
  const ssize_t written = ::write(ready_, &ready, 1);
  static_cast<void>(written);  // the parent may be gone, which changes nothing
  ::close(ready_);
  ready_ = -1;
}

Result<PidFile> PidFile::Write(const std::string& path) {
  pid_t former = 0;
  if (std::ifstream(path) >> former && former > 0 && former != ::getpid() && ::kill(former, 0) == 0) {
    return Error{Errc::kBusy, "process " + std::to_string(former) + " of " + path + " is running already"};
  }
  std::ofstream out(path, std::ios::trunc);
  out << ::getpid() << "\n";
  out.close();
  if (!out) return Error{Errc::kIo, "cannot write " + path + ": " + std::strerror(errno), 0, errno};
  PidFile file;
  file.path_ = path;
  return file;
}

PidFile::~PidFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

std::optional<std::string> RaiseDescriptorLimit() {
  constexpr rlim_t kDescriptors = 4096;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kDescriptors) return std::nullopt;
  limit.rlim_cur = std::min(kDescriptors, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= kDescriptors) return std::nullopt;
  return "only " + std::to_string(limit.rlim_cur) + " files may be open (ulimit -Hn): so many connections, " +
         "strangers' too, and no further client or link gets in; allow " + std::to_string(kDescriptors) + ".";
}

void NotifySupervisor(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || path[0] == '\0' || std::strlen(path) >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, std::strlen(path));
  if (path[0] == '@') address.sun_path[0] = '\0';  // the abstract namespace
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  ::sendto(socket, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
           length);
  ::close(socket);
}

}  // namespace longwire
