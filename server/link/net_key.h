#pragma once

#include <string>

#include "proto/kdnet/key.h"
#include "transport/kernel_string.h"

namespace longwire {

/// The key of a `net:` link, from its string or from the first line of its key file. Errors are kUsage and
/// never hold what a file says.
Result<kdnet::Key> ReadNetKey(const NetLink& link);
/// A fresh random key as `key=` takes it. kInternal: the system has no randomness to give.
Result<std::string> MakeNetKey();

}  // namespace longwire
