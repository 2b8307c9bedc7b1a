#ifndef TESTS_SUPPORT_CHILD_PROCESS_H_
#define TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace longwire::test {

/// A program of the suite as its users start it: output in pipes. Killed and reaped with this
/// object, and by the kernel when the test ends first.
class ChildProcess {
 public:
  enum class Input { kClosed, kPipe, kTerminal };
  static constexpr std::chrono::milliseconds kPatience{20000};

  /// `words`: the path of the program, then its arguments.
  explicit ChildProcess(const std::vector<std::string>& words, Input input = Input::kClosed);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  /// Standard output, standard error, and both in the order they came.
  std::string out() const;
  std::string error() const;
  std::string both() const;
  /// True once what was printed behind the last text waited for contains `text`; false after `limit` or the
  /// end.
  bool WaitFor(const std::string& text, std::chrono::milliseconds limit = kPatience);
  void Write(const std::string& text);  ///< on a terminal: typed
  void CloseInput();
  void Signal(int number);
  /// The exit code, or 128 + the signal that ended it; nothing when it still runs after `limit`.
  std::optional<int> Wait(std::chrono::milliseconds limit = kPatience);
  bool running();

 private:
  void Collect(int out, int error);

  pid_t pid_ = -1;
  int input_ = -1;
  std::optional<int> exit_code_;
  mutable std::mutex mutex_;
  std::condition_variable grown_;
  std::string out_, error_, both_;
  std::size_t seen_ = 0;
  bool ended_ = false;
  std::thread reader_;
};

}  // namespace longwire::test

#endif  // TESTS_SUPPORT_CHILD_PROCESS_H_
