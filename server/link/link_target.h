#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "proto/error.h"
#include "proto/kd/bytes.h"
#include "proto/kd/timers.h"
#include "proto/rpc/messages.h"
#include "server/link/placed_breakpoint.h"

namespace longwire {

/// How a target is attached; what does not apply to its kind is ignored.
struct TargetOptions {
  kd::Timers timers = kd::Timers::ForPipe();
  std::uint32_t bytes_per_second = 0;  ///< of the line; 0: not paced
  bool exact_reads = false;  ///< a recording answers what was asked when it was made, and nothing else
  bool break_in = false;     ///< stay stopped after the attach
  bool left_halted = false;  ///< we left this target stopped: attaching begins with a RESET, and it stays so
  std::function<void(const std::string&)> log = [](const std::string&) {};
  kd::Duration plan_time = std::chrono::seconds(10);
  kd::Duration prompt_patience =
      std::chrono::seconds(30);                          ///< an empty answer after this, when nobody drives
  kd::Duration file_patience = std::chrono::seconds(5);  ///< "not found" after this
  kd::Duration switch_patience = std::chrono::seconds(3);
  kd::Duration leave_patience = std::chrono::seconds(3);  ///< for the stop that removes the breakpoints
};

/// The truth of one debugged target, whatever it speaks (KD, the GDB remote protocol, nothing at all): its
/// state, its breakpoints, and the work that clients asked for. Sans-I/O: bytes, time and requests go in,
/// bytes, events and answers come out; so it runs under a simulated clock. One thread. After every call take
/// the output and call Tick no later than Deadline().
class LinkTarget {
 public:
  using EventSink = std::function<void(rpc::Event)>;
  using Done = std::function<void(rpc::Answer, kd::Bytes bulk)>;

  virtual ~LinkTarget() = default;

  // ---- the byte stream; a target without one (a dump) is only ever Opened
  virtual void Opened(kd::TimePoint now) = 0;
  /// The stream ended: every piece of work fails with `why`.
  virtual void Lost(kd::TimePoint now, const Error& why) = 0;
  virtual void Receive(kd::TimePoint now, kd::ByteView bytes) = 0;
  virtual void Tick(kd::TimePoint now) = 0;
  virtual std::optional<kd::TimePoint> Deadline() const = 0;
  virtual kd::Bytes TakeOutput() = 0;
  /// The line runs at another speed from now on; of what is on the way something may be lost.
  virtual void SetBaud(kd::TimePoint now, std::uint32_t baud) {
    static_cast<void>(now), static_cast<void>(baud);
  }

  // ---- clients
  /// `done` is called exactly once, possibly before Perform returns. Break-in, answers to prompts and files,
  /// status, settings and resynchronization overtake the queue. Work of an observer waits behind the
  /// driver's, and ends early (kBusy) when the driver wants something.
  virtual void Perform(kd::TimePoint now, std::uint64_t ticket, rpc::Request request, kd::Bytes bulk,
                       Done done, bool observer) = 0;
  /// Takes a queued piece of work back (kCancelled), or tells the current one to end early.
  virtual void Cancel(kd::TimePoint now, std::uint64_t ticket) = 0;
  /// Removes every breakpoint, stopping a running target for that if need be, and then lets it run if it ran
  /// or if `resume`. Work not begun is cancelled. Bounded in time.
  virtual void Leave(kd::TimePoint now, bool resume, std::function<void()> done) = 0;
  /// Who drives: stamped into stops, demanded by Resume; nobody to answer prompts and files when not
  /// `present`.
  virtual void SetDriver(kd::TimePoint now, std::uint64_t epoch, bool present) = 0;

  /// What stands in the target on behalf of clients, for the journal. None: a target that keeps nothing.
  virtual std::vector<PlacedBreakpoint> Breakpoints() const { return {}; }
  /// Before the first Opened(): what an earlier process of this server left behind.
  virtual void Inherit(const TargetHeritage& heritage) { static_cast<void>(heritage); }

  virtual rpc::TargetState state() const = 0;
  virtual std::optional<rpc::TargetDescription> description() const = 0;
  /// The stop the clients know of; nullopt unless halted.
  virtual const std::optional<rpc::StopEvent>& stop() const = 0;
  virtual rpc::LinkStatus Status() const = 0;
  /// Asks for a stop, now or as soon as the target answers.
  virtual void SetBreakIn(kd::TimePoint now) = 0;
  virtual void SetBreakOnReboot(bool on) = 0;
};

}  // namespace longwire
