#pragma once

#include <string>

#include "longwire_extension.hpp"

namespace kdexts {

/// `!process [address|pid|0|-1 [flags]] [image]` (engine.md 3.7).
lw_status Process(const lw_host* host, lw_session* session, const char* arguments);

}  // namespace kdexts
