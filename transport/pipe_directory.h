#pragma once

#include "proto/error.h"
#include "transport/endpoint_environment.h"

namespace longwire {

/// Makes the directory of this user's pipes, mode 0700, or checks that the one that is there belongs to this
/// user alone: under /tmp anybody could have made it first.
Result<void> PreparePipeDirectory(const Environment& environment);

}  // namespace longwire
