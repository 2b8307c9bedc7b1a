#pragma once

#include <optional>
#include <vector>

#include "server/kd/target_registers.h"
#include "server/target/breakpoint_table.h"
#include "server/target/target_memory.h"

namespace longwire {

/// Puts the breakpoints of the table into the stopped target and takes them out again (kd-protocol.md 5.6).
class BreakpointPlanter {
 public:
  BreakpointPlanter(KdLine& line, TargetFacts& facts, BreakpointTable& table, TargetMemory& memory,
                    TargetRegisters& registers)
      : line_(line), facts_(facts), table_(table), memory_(memory), registers_(registers) {}

  /// Planted before it returns. The value is the breakpoint's id. `processors`: all get the debug registers.
  Task<Result<std::uint64_t>> Set(rpc::SetBreakpoint wish, std::uint32_t processors);
  Task<Result<void>> Clear(std::uint64_t id, std::uint32_t processors);
  Task<Result<void>> AddTemporary(std::uint64_t address);
  Task<Result<void>> RemoveTemporary();

  /// After a request of unknown outcome, because line or stop ended under it: takes everything out, so that
  /// the table is true again. Costs nothing otherwise. Call it first in every piece of work.
  Task<Result<void>> Settle();
  /// Plants what the reports of the target took out, except at `except`, and takes out what nobody wants. A
  /// refusal of the target skips that one.
  Task<Result<void>> PlantMissing(std::vector<std::uint64_t> except);
  /// Takes out, and removes from `handles`, what an earlier table had planted in a target that said it
  /// restarted. One that did refuses, and nothing is written: its table is empty (3.6).
  Task<Result<void>> TakeOut(std::vector<std::uint32_t>& handles);
  /// Takes the one at `address` out for now.
  Task<Result<void>> Lift(std::uint64_t address);
  /// Takes everything out and forgets it. The rest is still taken out when the target refuses one.
  Task<Result<void>> RemoveAll(std::uint32_t processors);
  /// Makes the debug registers of all processors what the table says.
  Task<Result<void>> WriteDebugRegisters(std::uint32_t processors);

 private:
  Task<Result<void>> Plant(std::uint64_t address);

  KdLine& line_;
  TargetFacts& facts_;
  BreakpointTable& table_;
  TargetMemory& memory_;
  TargetRegisters& registers_;
  bool unsettled_ = false;  ///< a breakpoint was being planted or lifted; cleared by the target's answer
};

}  // namespace longwire
