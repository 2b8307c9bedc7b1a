#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "client/target/interrupt.h"
#include "client/target/target.h"
#include "tests/soak/known_machine.h"

namespace longwire::test {

/// Random operations on a target whose answers are known. An operation may end in an error that says that
/// line or target failed; it may not give a wrong answer, and it may not last. The first that does ends the
/// session: failure() says what happened.
class SoakSession {
 public:
  using Clock = std::chrono::steady_clock;
  struct Tally {
    std::uint64_t operations = 0, errors = 0;
    std::map<std::string, std::uint64_t> done;            ///< by operation
    std::map<std::string, std::uint64_t> errors_by_name;  ///< "operation: error"
    std::uint64_t stops = 0, stray_stops = 0, restarts = 0, losses = 0, lost_outputs = 0;
    std::chrono::milliseconds slowest{};
    std::string slowest_name;
  };

  SoakSession(Target& target, const KnownMachine& known, std::uint64_t seed);

  /// One operation. False: the session has failed.
  bool Operate();
  /// On a line without faults: everything works, nothing of us is left in the target, which runs at the end.
  bool Finish();

  /// The operation that ran last.
  const char* name() const { return name_; }
  const std::string& failure() const { return failure_; }
  const Tally& tally() const { return tally_; }

 private:
  struct Operation {
    const char* name;
    unsigned weight;
    bool (SoakSession::*run)();
  };
  static const std::vector<Operation>& Operations();

  // Operations: true when they came to their end, false when an error that is allowed ended them.
  bool ReadCode();
  bool ReadCodeUncached();
  bool ReadAbsent();
  bool ReadRegisters();
  bool ReadSpecialRegisters();
  bool WalkModules();
  bool WriteScratch();
  bool ReadScratch();
  bool SetBreakpoint();
  bool ClearBreakpoint();
  bool SetDataBreakpoint();
  bool Step();
  bool RunToBreakpoint();
  bool RunAndBreakIn();
  bool Print();
  bool PrintBurst();
  bool Prompt();

  bool EnsureHalted();
  bool Go(bool step = false);
  /// Handles events until `done` or the deadline; false: neither stop nor `done` by then.
  bool Wait(Clock::duration patience, const std::function<bool()>& done);
  void OnEvent(const rpc::Event& event);
  void OnStop(const rpc::StopEvent& stop);
  void OnOutput(const std::string& text);
  bool Command(std::uint32_t command, std::uint64_t argument);
  bool RunCommand(std::uint32_t command, std::uint64_t argument, const std::function<bool()>& done,
                  const char* what);
  void Quiet();
  bool ReadKnown(bool uncached);
  std::uint64_t Resets();
  std::optional<std::uint64_t> Load(std::uint64_t address, std::size_t size);
  bool CheckScratch(const std::vector<std::byte>& seen, std::size_t from);
  bool ForgetBreakpoints();

  /// Takes an error; it must be one that a bad line may cause.
  bool Allow(const Error& error);
  bool Fail(const std::string& what);
  bool failed() const { return !failure_.empty(); }
  std::uint64_t Below(std::uint64_t limit) { return random_() % limit; }

  Target& target_;
  const KnownMachine& known_;
  std::mt19937_64 random_;
  Tally tally_;
  std::string failure_;
  const char* name_ = "";

  std::map<std::uint64_t, std::uint64_t> breakpoints_;  ///< address by id
  std::map<std::uint64_t, std::uint64_t> doubtful_;     ///< the target was said to have restarted since
  std::set<std::uint64_t> data_breakpoints_;
  bool stepping_ = false;
  std::optional<rpc::StopEvent> last_stop_;

  std::uint64_t next_print_ = 1, last_print_ = 0;
  std::uint64_t burst_size_ = 0, burst_seen_ = 0;
  std::set<std::uint64_t> burst_lines_;
  std::string answer_;
  bool prompted_ = false, answered_ = false;

  std::vector<std::uint8_t> scratch_;               ///< what was written
  std::vector<std::optional<std::uint8_t>> doubt_;  ///< what a failed write may have left instead
  bool scratch_known_ = false;
};

}  // namespace longwire::test
