#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/address_space.h"
#include "proto/error.h"
#include "proto/plan/plan.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// What travelled since the target was opened. A round trip is one link in the longest chain of requests that
/// waited for one another: requests sent while another is in flight add to `requests` but not to
/// `round_trips`.
struct TargetCounters {
  std::uint64_t requests = 0, round_trips = 0;
  std::uint64_t bytes_received = 0, bytes_sent = 0;  ///< client to server
};

/// What is remembered of the memory of the present stop (`.cache`).
struct MemoryCacheStatus {
  std::uint64_t limit_bytes = 0, used_bytes = 0;
  std::uint64_t pages = 0;
  std::uint64_t reads_known = 0,
                reads_asked = 0;  ///< reads answered here, and by the server; since the start
  std::uint64_t bytes_known = 0, bytes_asked = 0;
};

/// What the engine debugs: a kernel behind a KD service now; a remote process and a crash dump later.
/// Synchronous; used from the engine's thread only, except BreakIn(). Calls block until answered, cancelled
/// (kCancelled, by Interrupt) or timed out; memory read while halted is remembered until the next resume or
/// write.
class Target {
 public:
  virtual ~Target() = default;

  virtual rpc::TargetState state() const = 0;
  /// Present once the target has answered; changes when it restarts.
  virtual const std::optional<rpc::TargetDescription>& description() const = 0;
  /// The stop the target is in; nullopt unless halted.
  virtual const std::optional<rpc::StopEvent>& stop() const = 0;
  virtual std::string SessionName() const = 0;
  virtual TargetCounters counters() const = 0;

  /// Reads the readable prefix of [address, address + out.size()) and returns its length; kUnreadable (with
  /// the address) when the first byte cannot be read.
  virtual Result<std::size_t> Read(AddressSpace space, std::uint64_t address, std::span<std::byte> out) = 0;
  /// Whether Read() of this range would be answered from memory.
  virtual bool Knows(AddressSpace space, std::uint64_t address, std::uint64_t size) const = 0;
  virtual Result<std::size_t> ReadUncached(AddressSpace space, std::uint64_t address,
                                           std::span<std::byte> out) = 0;
  virtual Result<std::size_t> Write(AddressSpace space, std::uint64_t address,
                                    std::span<const std::byte> data) = 0;
  /// Starts reading ranges without waiting: a later Read() of them uses the answer. Errors show up there.
  virtual void Prefetch(AddressSpace space, std::span<const rpc::ReadRange> ranges) = 0;
  virtual MemoryCacheStatus memory_cache() const = 0;
  /// Remembers at most so much from now on, in whole pages; 0: nothing.
  virtual void LimitMemoryCache(std::uint64_t bytes) = 0;
  /// Forgets all that is remembered; what is read until the next stop comes from the target itself.
  virtual void ForgetMemory() = 0;
  /// Runs a plan next to the target; memory it emitted is remembered like memory read.
  virtual Result<plan::Output> Run(const plan::Plan& plan) = 0;

  /// Raw CONTEXT and special register records (kd-protocol.md 5.9, 5.10).
  virtual Result<std::vector<std::byte>> ReadContext(std::uint32_t processor) = 0;
  virtual Result<void> WriteContext(std::uint32_t processor, std::span<const std::byte> context) = 0;
  virtual Result<std::vector<std::byte>> ReadControlSpace(std::uint32_t processor, std::uint64_t selector,
                                                          std::uint32_t size) = 0;
  virtual Result<std::uint64_t> ReadMsr(std::uint32_t processor, std::uint32_t number) = 0;
  virtual Result<void> WriteMsr(std::uint32_t processor, std::uint32_t number, std::uint64_t value) = 0;

  virtual Result<std::uint64_t> SetBreakpoint(const rpc::SetBreakpoint& breakpoint) = 0;
  virtual Result<void> ClearBreakpoint(std::uint64_t id) = 0;

  struct ResumeOptions {
    bool step = false;
    bool handled = true;
    std::vector<std::uint64_t> temporary_breakpoints;
    std::optional<std::uint32_t>
        step_processor;  ///< nullopt: the one that stopped. kUnsupported where only that one can
  };
  virtual Result<void> Resume(const ResumeOptions& options) = 0;
  /// Asks a running target to stop; returns at once. Any thread.
  virtual void BreakIn() = 0;
  /// Next event, in order; state(), description() and stop() already reflect it. nullopt: the deadline
  /// passed. kCancelled: Interrupt was raised. Any other error: the connection is gone for good.
  virtual Result<std::optional<rpc::Event>> WaitEvent(std::chrono::steady_clock::time_point deadline) = 0;

  // ---- who else is there; a target of one's own has nobody
  /// False while this client only watches: what would change the target is refused (kFenced).
  virtual bool driving() const { return true; }
  /// Who uses the target, this client included.
  virtual Result<rpc::ClientList> Clients() { return rpc::ClientList{}; }
  /// Makes this client the driver, also in place of another one that is there.
  virtual Result<void> TakeDriver() { return {}; }
  /// Makes another one (a number of Clients()) the driver; this client watches from now on.
  virtual Result<void> HandOver(std::uint64_t) {
    return Error{Errc::kUnsupported, "nobody else can use this target"};
  }
  /// Time that was spent so far on getting a lost connection back. Deadlines of waits for the target move by
  /// it.
  virtual std::chrono::milliseconds outage() const { return {}; }
  /// Rises when whoever holds the target forgot what this client had told it (breakpoints, settings). The
  /// event that follows tells the state.
  virtual unsigned renewals() const { return 0; }

  virtual Result<void> SwitchProcessor(std::uint32_t processor) = 0;  ///< a StopEvent follows
  virtual Result<void> AnswerPrompt(std::string text) = 0;
  /// Answers FileRequested; `data` are the bytes of a read.
  virtual Result<void> AnswerFile(const rpc::AnswerFile& answer, std::span<const std::byte> data) = 0;
  virtual Result<void> Configure(const rpc::Configure& options) = 0;
  virtual Result<void> Reboot() = 0;
  virtual Result<void> Crash() = 0;
  virtual Result<void> Resynchronize() = 0;
  virtual Result<rpc::LinkStatus> LinkStatus() = 0;
  virtual Result<void> EndServer(bool force) = 0;
  /// Gives the target back; `resume` false leaves it as it is. The target is unusable afterwards.
  virtual Result<void> Close(bool resume) = 0;
};

}  // namespace longwire
