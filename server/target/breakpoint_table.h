#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "proto/error.h"
#include "proto/kd/manipulate.h"
#include "proto/rpc/messages.h"
#include "server/link/placed_breakpoint.h"

namespace longwire {

/// A breakpoint planted in memory.
struct CodeBreakpoint {
  std::uint64_t address = 0;
  std::uint32_t handle = 0;         ///< the target's; 0: not planted now
  std::vector<std::byte> original;  ///< bytes below it; empty: unknown, the page was absent
  std::vector<std::uint64_t> ids;   ///< of the user; several may share the address
  bool temporary = false;           ///< wanted by the current run only (besides `ids`)

  bool wanted() const { return temporary || !ids.empty(); }
};

/// A breakpoint in a debug register.
struct DataBreakpoint {
  std::uint64_t id = 0, address = 0;
  rpc::BreakpointKind kind = rpc::BreakpointKind::kWrite;
  std::uint32_t size = 1;
};

/// What breakpoints there are and which of them stand in the target's memory. Pure bookkeeping: the callers
/// talk to the target. Ids are never reused.
class BreakpointTable {
 public:
  CodeBreakpoint& Code(std::uint64_t address);  ///< found or made
  CodeBreakpoint* FindCode(std::uint64_t address);
  const std::map<std::uint64_t, CodeBreakpoint>& code() const { return code_; }
  std::vector<std::uint64_t> CodeAddresses() const;
  void EraseCode(std::uint64_t address) { code_.erase(address); }
  CodeBreakpoint* CodeOfId(std::uint64_t id);
  std::uint64_t NextId() { return ++last_id_; }

  /// Takes a free debug register. Errors: kLimitExceeded (all four in use), kUsage (size or alignment).
  Result<std::uint64_t> AddData(rpc::BreakpointKind kind, std::uint64_t address, std::uint32_t size);
  bool RemoveData(std::uint64_t id);
  bool HasData() const;
  const std::array<std::optional<DataBreakpoint>, 4>& data() const { return data_; }
  /// Dr7 with our registers switched on and the other bits of `current` kept.
  std::uint64_t Dr7(std::uint64_t current) const;
  std::vector<std::uint64_t> DataHits(std::uint64_t dr6) const;

  /// The target took the breakpoints of the reported instruction stream out (kd-protocol.md 2.5).
  void OnReported(std::uint64_t address, std::uint64_t count);
  bool AnyPlanted() const;
  /// Puts the original bytes back into `bytes`, read at `address`, where our breakpoints stand.
  void Hide(std::uint64_t address, std::span<std::byte> bytes) const;
  /// For a write of `bytes` at `address`: the bytes become the originals, and where a breakpoint stands its
  /// instruction replaces them.
  void CoverWrite(std::uint64_t address, std::span<std::byte> bytes);
  /// The machine's breakpoint instruction, `CC` by default (kd-protocol.md 3.6).
  void SetInstruction(std::vector<std::byte> instruction) { instruction_ = std::move(instruction); }
  std::size_t instruction_size() const { return instruction_.size(); }

  /// Every breakpoint of the user or of the current run; several of one address are several.
  std::vector<PlacedBreakpoint> Placed() const;
  /// Makes those of an earlier process ours, not planted yet, with their ids. With `debug_registers` all
  /// debug registers count as ours.
  void Inherit(const TargetHeritage& heritage);

  /// The target restarted: everything is gone. Ids are not reused, and debug registers that were ours are
  /// cleared by what follows: a target that only gave us up for a while says that it restarted, too.
  void Clear();

 private:
  std::map<std::uint64_t, CodeBreakpoint> code_;
  std::array<std::optional<DataBreakpoint>, 4> data_;
  std::vector<std::byte> instruction_{std::byte{0xCC}};
  std::uint64_t used_dr7_bits_ = 0;  ///< bits we ever set, to be cleared when the breakpoint goes
  std::uint64_t last_id_ = 0;
};

}  // namespace longwire
