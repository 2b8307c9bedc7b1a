#pragma once

#include "proto/plan/plan.h"
#include "server/target/target_memory.h"

namespace longwire {

/// Runs a validated read plan next to the target. Reads go through the cache of the stop, so several loads
/// from one line cost one exchange. Ends early at `limit`, keeping what was found.
Task<Result<plan::Output>> RunReadPlan(const plan::Plan& plan, plan::Limits limits, TargetMemory& memory,
                                       const WorkLimit& limit);

}  // namespace longwire
