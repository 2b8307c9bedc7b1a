#include "tests/support/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void Become(const std::vector<std::string>& words, int input, int out, int error) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (input >= 0) {
    dup2(input, STDIN_FILENO);
    // A terminal is its own.
    if (isatty(STDIN_FILENO) == 1 && setsid() > 0) ioctl(STDIN_FILENO, TIOCSCTTY, 0);
  } else {
    close(STDIN_FILENO);  // no descriptor at all, as under some supervisors
  }
  dup2(out, STDOUT_FILENO);
  dup2(error, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

/// Both ends of a terminal, as pipe2() gives those of a pipe.
bool OpenTerminal(int ends[2]) {
  ends[1] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (ends[1] < 0 || grantpt(ends[1]) != 0 || unlockpt(ends[1]) != 0) return false;
  ends[0] = open(ptsname(ends[1]), O_RDWR | O_NOCTTY | O_CLOEXEC);
  return ends[0] >= 0;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words, Input input) {
  signal(SIGPIPE, SIG_IGN);
  int in[2] = {-1, -1}, out[2], error[2];
  if (input == Input::kPipe && pipe2(in, O_CLOEXEC) != 0) return;
  if (input == Input::kTerminal && !OpenTerminal(in)) return;
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0) return;
  pid_ = fork();
  if (pid_ == 0) Become(words, in[0], out[1], error[1]);
  if (in[0] >= 0) close(in[0]);
  close(out[1]);
  close(error[1]);
  input_ = in[1];
  reader_ = std::thread([this, from = out[0], errors = error[0]] { Collect(from, errors); });
}

ChildProcess::~ChildProcess() {
  CloseInput();
  if (!exit_code_ && pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (reader_.joinable()) reader_.join();
}

void ChildProcess::Collect(int out, int error) {
  pollfd watched[2] = {{out, POLLIN, 0}, {error, POLLIN, 0}};
  while (watched[0].fd >= 0 || watched[1].fd >= 0) {
    if (poll(watched, 2, -1) < 0 && errno != EINTR) break;
    for (int i = 0; i < 2; ++i) {
      if (watched[i].fd < 0 || watched[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t got = read(watched[i].fd, buffer, sizeof buffer);
      const std::lock_guard lock(mutex_);
      if (got > 0) {
        (i == 0 ? out_ : error_).append(buffer, static_cast<std::size_t>(got));
        both_.append(buffer, static_cast<std::size_t>(got));
      } else {
        close(watched[i].fd);
        watched[i].fd = -1;
      }
      grown_.notify_all();
    }
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  grown_.notify_all();
}

std::string ChildProcess::out() const {
  const std::lock_guard lock(mutex_);
  return out_;
}
std::string ChildProcess::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}
std::string ChildProcess::both() const {
  const std::lock_guard lock(mutex_);
  return both_;
}

bool ChildProcess::WaitFor(const std::string& text, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  std::size_t at = std::string::npos;
  grown_.wait_for(lock, limit, [&] {
    at = both_.find(text, seen_);
    return at != std::string::npos || ended_;
  });
  if (at == std::string::npos) return false;
  seen_ = at + text.size();
  return true;
}

void ChildProcess::Write(const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t sent = write(input_, text.data() + done, text.size() - done);
    if (sent <= 0) return;
    done += static_cast<std::size_t>(sent);
  }
}

void ChildProcess::CloseInput() {
  if (input_ >= 0) close(input_);
  input_ = -1;
}

void ChildProcess::Signal(int number) {
  if (!exit_code_ && pid_ > 0) kill(pid_, number);
}

std::optional<int> ChildProcess::Wait(std::chrono::milliseconds limit) {
  // Its end closes the pipes, so no poll of the process is needed.
  const auto end = Clock::now() + limit;
  {
    std::unique_lock lock(mutex_);
    if (!grown_.wait_until(lock, end, [&] { return ended_; })) return std::nullopt;
  }
  if (!exit_code_) {
    int status = 0;
    if (waitpid(pid_, &status, 0) != pid_) return std::nullopt;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return exit_code_;
}

bool ChildProcess::running() {
  siginfo_t info{};
  return !exit_code_ && waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

}  // namespace longwire::test
