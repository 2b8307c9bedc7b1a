#pragma once

#include <cstdint>

#include "client/engine/machine.h"
#include "client/engine/session.h"
#include "proto/error.h"

namespace longwire {

/// Registers of a thread: those of its processor while it runs, else what its last context switch saved (x64:
/// program counter, stack and frame pointer; the rest is zero). Uses the debugger data block and, where there
/// are symbols, nt!_KSWITCH_FRAME. kUnsupported on other architectures, kNotFound without the block.
Result<RegisterSet> ThreadRegisters(Session& session, std::uint64_t thread);

}  // namespace longwire
