#include "transport/captured_command.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "transport/child_command.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxErrors = 4096;
constexpr std::chrono::milliseconds kExitPoll{50};

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) ends_ = {-1, -1};
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseRead();
    CloseWrite();
  }
  bool ok() const { return ends_[0] >= 0; }
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void CloseRead() { Close(ends_[0]); }
  void CloseWrite() { Close(ends_[1]); }

 private:
  static void Close(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  std::array<int, 2> ends_{-1, -1};
};

Error SystemError(const std::string& what, int error) {
  return Error{Errc::kIo, what + ": " + std::strerror(error) + ".", 0, error};
}

/// Reads what is there. False at the end of the file.
bool ReadSome(int fd, std::string& into, std::size_t keep) {
  std::array<char, 16384> buffer;
  const ssize_t size = ::read(fd, buffer.data(), buffer.size());
  if (size < 0) return errno == EINTR || errno == EAGAIN;
  const std::size_t room = keep - std::min(keep, into.size());
  into.append(buffer.data(), std::min(static_cast<std::size_t>(size), room));
  return size > 0;
}

int MillisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max(left, std::chrono::milliseconds(0)).count());
}

/// Collects until standard output ends. Standard error alone may stay open: ssh's shared connections keep it.
Result<void> Collect(Pipe& output, Pipe& errors, CapturedOutput& captured, Clock::time_point deadline,
                     std::size_t max_output) {
  while (true) {
    std::array<pollfd, 2> waiting{{{output.read_end(), POLLIN, 0}, {errors.read_end(), POLLIN, 0}}};
    const int ready = ::poll(waiting.data(), waiting.size(), MillisecondsUntil(deadline));
    if (ready < 0 && errno != EINTR) return SystemError("Cannot wait for a command", errno);
    if (Clock::now() >= deadline) return Error{Errc::kTimedOut, "It did not answer in time."};
    if (ready <= 0) continue;
    if (waiting[1].revents != 0 && !ReadSome(errors.read_end(), captured.errors, kMaxErrors))
      errors.CloseRead();
    if (waiting[0].revents == 0) continue;
    const bool open = ReadSome(output.read_end(), captured.output, max_output + 1);
    if (captured.output.size() > max_output) return Error{Errc::kLimitExceeded, "It wrote too much."};
    if (!open) return {};
  }
}

}  // namespace

Result<CapturedOutput> RunCaptured(std::span<const std::string> words, std::chrono::milliseconds limit,
                                   std::size_t max_output) {
  const Clock::time_point deadline = Clock::now() + limit;
  Pipe output, errors;
  if (!output.ok() || !errors.ok()) return SystemError("Cannot make a pipe", errno);
  ChildCommand child;
  if (const int failure = child.Start(words, -1, output.write_end(), errors.write_end()); failure != 0) {
    Error error = SystemError("Cannot run " + words[0], failure);
    if (failure == ENOENT) error.code = Errc::kNotFound;
    return error;
  }
  output.CloseWrite();
  errors.CloseWrite();
  CapturedOutput captured;
  if (auto collected = Collect(output, errors, captured, deadline, max_output); !collected)
    return collected.error();
  std::optional<int> exit_code;
  while (!(exit_code = child.Ended())) {
    if (Clock::now() >= deadline) return Error{Errc::kTimedOut, "It did not end in time."};
    pollfd waiting{errors.read_end(), POLLIN, 0};  // once closed, -1: then this only waits
    const int wait = std::min(MillisecondsUntil(deadline), static_cast<int>(kExitPoll.count()));
    if (::poll(&waiting, 1, wait) <= 0) continue;
    if (!ReadSome(errors.read_end(), captured.errors, kMaxErrors)) errors.CloseRead();
  }
  captured.exit_code = *exit_code;
  // What it wrote last may still be in the pipe; a process outside its group may keep that open and fill it.
  for (std::size_t reads = 0; reads < 16; ++reads) {
    pollfd waiting{errors.read_end(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) <= 0 || !ReadSome(errors.read_end(), captured.errors, kMaxErrors)) break;
  }
  return captured;
}

}  // namespace longwire
