#pragma once

#include <cstdint>
#include <vector>

#include "proto/rpc/messages.h"

namespace longwire {

/// One breakpoint of a target, as it outlives the process that placed it.
struct PlacedBreakpoint {
  std::uint64_t id = 0;  ///< the client's; 0: wanted by the current run only
  rpc::BreakpointKind kind = rpc::BreakpointKind::kCode;
  std::uint64_t address = 0;
  std::uint32_t size = 1;
  std::uint32_t handle = 0;         ///< of the target, where it has handles; 0: not in its memory now
  std::vector<std::byte> original;  ///< bytes below it, as far as known

  friend bool operator==(const PlacedBreakpoint&, const PlacedBreakpoint&) = default;
};

/// What a target is told of the time before its server was restarted.
struct TargetHeritage {
  std::vector<PlacedBreakpoint> breakpoints;  ///< to be placed again; what else the target has is taken out
  bool debug_registers = false;               ///< data breakpoints may stand in the debug registers
  std::uint64_t stop_counter = 0;             ///< of the newest stop that was told
  std::uint64_t last_breakpoint_id = 0;
  bool halted = false;           ///< it was stopped, for a client that knew
  bool stop_on_module = false;   ///< asked for by the driver
  bool break_on_reboot = false;  ///< likewise
};

}  // namespace longwire
