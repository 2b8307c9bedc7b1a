#include "tests/support/kdsrv_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/own_ports.h"

namespace longwire::test {

KdsrvProcess::KdsrvProcess(const std::string& program, const std::string& password, const std::string& state)
    : password_(password) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  std::string transport = "tcp:port=" + OwnPorts();
  if (!password.empty()) transport += ",password=" + password;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(ends[1], STDERR_FILENO);
    ::execl(program.c_str(), "kdsrv", "-v", "--state", state.c_str(), "-t", transport.c_str(),
            static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string text;
  char c = 0;
  while (text.find("listening on") == std::string::npos || c != '\n') {
    if (::read(ends[0], &c, 1) != 1) break;
    text += c;
  }
  drain_ = std::thread([fd = ends[0]] {
    char buffer[512];
    while (::read(fd, buffer, sizeof buffer) > 0) {
    }
    ::close(fd);
  });
  const std::size_t at = text.find("Port=");
  if (at != std::string::npos) port_ = std::atoi(text.c_str() + at + 5);
}

KdsrvProcess::~KdsrvProcess() {
  Signal(SIGKILL);
  Wait();
  if (drain_.joinable()) drain_.join();
}

void KdsrvProcess::Signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int KdsrvProcess::Wait() {
  int status = -1;
  if (pid_ > 0) ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string KdsrvProcess::KernelStringFor(const std::string& link) const {
  std::string server = "tcp:server=127.0.0.1,port=" + std::to_string(port_);
  if (!password_.empty()) server += ",password=" + password_;
  return "kdsrv:server=@{" + server + "},trans=@{" + link + "}";
}

}  // namespace longwire::test
