#pragma once

#include <optional>
#include <string>

#include "proto/error.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// Why a request that needs a halted target cannot be carried out in this state; nullopt: it can. `offline`
/// says what is missing when nothing answers.
std::optional<Error> NotHalted(rpc::TargetState state, std::string offline);

}  // namespace longwire
