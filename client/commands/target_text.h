#pragma once

#include "client/engine/report.h"
#include "client/engine/session.h"

namespace longwire {

/// The block of `vertarget` (engine.md 3.5): version, product, kernel base, times. What the target does not
/// tell, or while it runs cannot be read, is left out. Does nothing before the target has answered once.
void ReportTargetVersion(Session& session, Report& report);

}  // namespace longwire
