#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/commands/command.h"
#include "client/engine/session.h"
#include "client/target/interrupt.h"
#include "client/target/target.h"

namespace longwire::test {

/// What a command cost: between client and server, and between server and target.
struct CommandCost {
  TargetCounters client;    ///< differences
  rpc::LinkStatus link;     ///< differences
  std::string text, error;  ///< what it printed
};

/// A kd without its console: everything the program wires up, in this process, for tests that look at
/// numbers.
class DebugSession {
 public:
  /// Opens the link (a `-k` string; `com:` links are served in this process), breaks in and waits for the
  /// stop, of which nothing is shown: no symbols, no module list yet. Null with a sentence in `error` when
  /// there is no stop within 30 s.
  static std::unique_ptr<DebugSession> Open(const std::string& kernel, const SessionOptions& options,
                                            std::string* error);
  ~DebugSession();

  /// Shows the stop as kd does before its prompt.
  CommandCost ShowStop();
  /// Runs a line that does not let the target run.
  CommandCost Run(const std::string& line);
  /// Lets the target run and waits for the next stop (30 s), of which nothing is shown. False: there was
  /// none.
  bool Go();
  Session& session() { return *session_; }
  Target& target() { return *target_; }

 private:
  DebugSession() = default;
  CommandCost Measure(const std::function<Result<void>(Report&)>& what);

  Interrupt interrupt_;
  std::unique_ptr<Target> target_;
  std::unique_ptr<Session> session_;
  CommandTable table_;
};

}  // namespace longwire::test
