#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <csignal>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "client/symbols/pdb_file.h"
#include "client/symbols/symbol_file.h"

extern char** environ;

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kChecker = "lw-pdbcheck";
constexpr std::size_t kMaximumReason = 1024;
// 86 MB take a fraction of a second; a file that takes longer than this is built to.
constexpr std::chrono::seconds kBaseDeadline{5};
constexpr std::uint64_t kBytesPerExtraSecond = 32 << 20;

struct Verdict {
  bool usable = false;
  std::string reason;
};
using FileKey = std::tuple<std::string, std::uint64_t, std::int64_t, std::int64_t, std::uint64_t>;

std::string CheckerPath() {
  char buffer[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", buffer, sizeof buffer);
  if (length <= 0) return {};
  std::string path(buffer, static_cast<std::size_t>(length));
  path.resize(path.rfind('/') + 1);
  path += kChecker;
  return ::access(path.c_str(), X_OK) == 0 ? path : std::string();
}

// Reads the checker's text until it closes its end or the deadline passes; false then.
bool ReadReason(int fd, Clock::time_point deadline, std::string& reason) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    char buffer[512];
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    reason.append(buffer,
                  std::min<std::size_t>(static_cast<std::size_t>(got), kMaximumReason - reason.size()));
  }
}

Verdict VerdictOf(const std::string& path, bool finished, int status, std::string reason) {
  if (!finished) return {false, path + " is a damaged PDB: reading it does not end"};
  if (WIFSIGNALED(status))
    return {false, path + " is a damaged PDB: reading it ended the checker with signal " +
                       std::to_string(WTERMSIG(status))};
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {true, {}};
  return {false, reason.empty() ? path + " is a damaged PDB" : std::move(reason)};
}

Verdict RunChecker(const std::string& checker, const std::string& path, std::uint64_t size) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {false, "no pipe for checking " + path};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  // A group of its own: Ctrl-C at the prompt must not look like a crash of the checker. Signals at their
  // defaults.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t ordinary;
  sigfillset(&ordinary);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &ordinary);
  std::string program = kChecker, argument = path;
  char* argv[] = {program.data(), argument.data(), nullptr};
  pid_t child = -1;
  const int failed = ::posix_spawn(&child, checker.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  ::close(ends[1]);
  if (failed != 0) {
    ::close(ends[0]);
    return {false, "cannot start " + checker + " to check " + path};
  }
  std::string reason;
  const auto deadline = Clock::now() + kBaseDeadline + std::chrono::seconds(size / kBytesPerExtraSecond);
  const bool finished = ReadReason(ends[0], deadline, reason);
  ::close(ends[0]);
  if (!finished) ::kill(child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return VerdictOf(path, finished, status, std::move(reason));
}

/// Verdicts of this process's life; a file that changed is checked again.
class CheckedFiles {
 public:
  Verdict Check(const std::string& path, const struct stat& status) {
    const FileKey key{path, status.st_ino, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                      static_cast<std::uint64_t>(status.st_size)};
    std::lock_guard lock(mutex_);
    if (auto known = verdicts_.find(key); known != verdicts_.end()) return known->second;
    const std::string checker = CheckerPath();
    // Programs without the checker beside them (single-file tools) rely on the reader's own guards.
    Verdict verdict = checker.empty() ? Verdict{true, {}}
                                      : RunChecker(checker, path, static_cast<std::uint64_t>(status.st_size));
    verdicts_[key] = verdict;
    return verdict;
  }

 private:
  std::mutex mutex_;
  std::map<FileKey, Verdict> verdicts_;
};

}  // namespace

Result<std::unique_ptr<SymbolFile>> OpenPdb(const std::string& path) {
  static CheckedFiles checked;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const int error = errno;
    return Error{error == ENOENT || error == ENOTDIR ? Errc::kNotFound : Errc::kIo, "cannot open " + path, 0,
                 error};
  }
  if (!S_ISREG(status.st_mode)) return Error{Errc::kMalformed, path + " is not a file"};
  const Verdict verdict = checked.Check(path, status);
  if (!verdict.usable) return Error{Errc::kMalformed, verdict.reason};
  return OpenPdbInProcess(path);
}

}  // namespace longwire
