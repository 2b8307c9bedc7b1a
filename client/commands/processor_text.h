#pragma once

#include <cstdint>
#include <string_view>

#include "client/engine/report.h"
#include "client/engine/session.h"

namespace longwire {

/// How many processors (threads of a user minidump) a halted target has.
std::uint32_t ProcessorCount(Session& session);
/// `N`, `.` for the selected one, `#` for the one that stopped. The target is halted.
Result<std::uint32_t> FindProcessor(Session& session, std::string_view which);
/// The row of a processor in `~`: `.` marks the selected one, `#` the one that stopped, if it is another.
void ReportProcessor(Session& session, std::uint32_t processor, Report& report);

}  // namespace longwire
