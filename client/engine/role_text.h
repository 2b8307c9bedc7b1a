#pragma once

#include <string>

#include "client/engine/report.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// What `kd` says about a change of the driver, in one sentence; empty: nothing the user does not know.
/// Foreign text in it is not escaped.
std::string DriverText(const rpc::DriverChanged& change);
Fields DriverFields(const rpc::DriverChanged& change);
std::string_view DriverReason(rpc::DriverChanged::Why why);  ///< "taken", "handed-over", ...

std::string ClientText(const rpc::ClientChanged& change);
Fields ClientFields(const rpc::ClientChanged& change);

std::string_view RoleName(rpc::Role role);  ///< "driver", "observer", "admin"

}  // namespace longwire
