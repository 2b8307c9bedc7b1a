#pragma once

#include <string>

#include "client/engine/report.h"
#include "client/engine/session.h"

namespace longwire {

/// The block of `vertarget` (engine.md 3.5): version, product, kernel base, times. What the target does not
/// tell, or while it runs cannot be read, is left out. Does nothing before the target has answered once.
void ReportTargetVersion(Session& session, Report& report);
/// The two lines of `.time`. Needs a halted target.
Result<void> ReportTargetTime(Session& session, Report& report);
/// "Sat Nov 21 00:12:00 2026 (UTC + 0:00)", of this machine.
std::string HostTime();

}  // namespace longwire
