#pragma once

#include "client/extensions/longwire_extension.h"
#include "proto/address_space.h"
#include "proto/error.h"
#include "proto/plan/plan.h"

namespace longwire {

/// The read plan of lw_host::prefetch_list. kLimitExceeded when the list has more spans than a plan can hold,
/// kUnsupported for lists nested deeper than one level.
Result<plan::Plan> BuildListPlan(AddressSpace space, const lw_list& list, unsigned pointer_size);

}  // namespace longwire
