#pragma once

#include "proto/plan/plan.h"
#include "proto/rpc/messages.h"
#include "server/target/target_memory.h"

namespace longwire {

/// Answers ReadMemory, WriteMemory and RunPlan of a halted target; kUnsupported for anything else. `bulk`
/// came with the request, what goes with the answer is put into `out`. A plan ends after `plan_time`.
Task<rpc::Answer> AnswerMemoryRequest(const rpc::Request& request, const kd::Bytes& bulk,
                                      TargetMemory& memory, kd::Duration plan_time, WorkLimit& limit,
                                      kd::Bytes& out);

}  // namespace longwire
