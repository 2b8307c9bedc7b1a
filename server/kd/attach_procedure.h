#pragma once

#include "server/kd/kd_line.h"
#include "server/kd/target_facts.h"
#include "server/target/target_memory.h"

namespace longwire {

/// Makes a target that reported a state change known: waits until a storm of repetitions is over, asks for
/// the version, clears the breakpoints of dead sessions, reads the debugger data block
/// (kd-protocol.md 5.1, 5.2). Fills `facts`. A target without a usable block is identified all the same.
Task<Result<void>> IdentifyTarget(KdLine& line, TargetMemory& memory, TargetFacts& facts,
                                  const kd::StateChange& change);

/// Takes out whatever stands in the target's breakpoint slots; a slot that is free is no error.
Task<Result<void>> ClearBreakpointSlots(KdLine& line);

}  // namespace longwire
