#pragma once

#include <string>

#include "client/options/kd_options.h"

namespace longwire {

/// `kd -doctor`: examines the connection of -k, prints what it finds and returns the exit code.
int DiagnoseKernel(const KdOptions& options, const std::string& software);

}  // namespace longwire
