#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transport/endpoint_environment.h"

namespace longwire {

/// The words of the command that reaches another machine, without the host: those of `_DBG_PIPE_RSH`, else
/// ssh, which must not ask anything because the terminal is the debugger's (remote-debugging.md 2.9, 6).
std::vector<std::string> RemoteShell(const Environment& environment);

/// A started program, in a process group of its own so that Ctrl-C is not its. Killed with its group and
/// waited for when this object goes. Not thread-safe.
class ChildCommand {
 public:
  ChildCommand() = default;
  ChildCommand(const ChildCommand&) = delete;
  ChildCommand& operator=(const ChildCommand&) = delete;
  ~ChildCommand() { (void)End(); }

  /// Runs `words[0]`, looked up in PATH, without a shell. The descriptors become its standard ones; `input`
  /// -1 is an empty file. 0 or an errno. Only once.
  int Start(std::span<const std::string> words, int input, int output, int errors);
  /// Its exit code if it has ended by itself, 128 + signal if a signal ended it; nullopt while it runs. What
  /// it left running in its group is killed.
  std::optional<int> Ended() noexcept;
  /// Kills what still runs of it. As Ended(); 0 if nothing was started.
  int End() noexcept;

 private:
  int Reap() noexcept;

  pid_t pid_ = -1;
  int exit_code_ = 0;  ///< once it has ended
};

}  // namespace longwire
