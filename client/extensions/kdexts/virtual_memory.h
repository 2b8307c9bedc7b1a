#pragma once

#include "longwire_extension.h"

namespace kdexts {

/// `!vm`: the memory manager's counters that KDDEBUGGER_DATA64 points to (engine.md 3.9).
lw_status VirtualMemory(const lw_host* host, lw_session* session, const char* arguments);

}  // namespace kdexts
