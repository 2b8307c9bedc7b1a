#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/commands/command.h"
#include "client/console/console_output.h"
#include "client/console/line_input.h"
#include "client/engine/run_control.h"
#include "client/engine/session.h"

namespace longwire {

struct ConsoleOptions {
  std::vector<std::string> commands;  ///< -c, run at the first stop
  std::optional<std::string> script;  ///< -cf, before them
  std::optional<std::uint32_t>
      wait_seconds;      ///< longest wait for a stop; default: 30 without a terminal, else none
  std::string greeting;  ///< first lines
};

/// The read-eval-print loop of `kd`: waits for the target to stop, reads a line, runs its commands, again.
/// Commands left behind one that resumed the target run at the next stop. A lost connection is told and
/// leaves a console without a target; without a terminal it ends the program when the input is used up.
class Console {
 public:
  Console(Session& session, const CommandTable& table, ConsoleOutput& output, LineInput& input,
          ConsoleOptions options);

  /// Returns the exit code (remote-debugging.md 2.14). Gives the target back before it returns.
  int Run();

 private:
  enum class Wait { kStopped, kPrompt, kGivenUp };

  Result<void> QueueStart();
  Wait WaitForTarget();
  void ReportFirstStop();
  void ShowCurrentStop();
  bool ReadCommand();
  void RunNext();
  void DropCommands();
  bool RunControlKey(const std::string& line);
  std::string Repeated(const std::string& last) const;
  std::string PromptText() const;
  std::string AnswerTargetPrompt(const rpc::PromptRequested& prompt);
  void ShowTyped(const std::string& line);
  std::optional<std::string> AskUser(std::string_view prompt);
  void TakeEvents();
  void LoseTarget(const Error& error);
  void ReportFailure(const Error& error, Report& report);
  int Leave();

  Session& session_;
  const CommandTable& table_;
  ConsoleOutput& output_;
  LineInput& input_;
  ConsoleOptions options_;
  std::string pending_;    ///< commands still to run
  std::string last_line_;  ///< for ENTER
  bool started_ = false;   ///< the first stop was seen
  bool leaving_ = false, resume_ = false;
  bool unseen_stop_ = false;     ///< the target stopped while nobody waited for it
  bool prompt_running_ = false;  ///< Ctrl-C asked for a prompt although the target runs
  std::optional<Error> lost_;
  bool line_lost_ = false;  ///< by the line that runs, or while it was typed
  int exit_code_ = 0;
};

}  // namespace longwire
