#pragma once

#include "client/commands/command.h"

namespace longwire {

/// `.printf` (engine.md 2.11).
Result<CommandFlow> PrintFormatted(Session& session, Arguments& arguments, Report& report);

}  // namespace longwire
