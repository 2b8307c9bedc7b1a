#pragma once

#include <chrono>
#include <optional>

#include "client/engine/event_text.h"
#include "client/engine/report.h"
#include "client/engine/session.h"
#include "proto/error.h"

namespace longwire {

using Deadline = std::optional<std::chrono::steady_clock::time_point>;  ///< nullopt: as long as it takes

/// Takes events that are there or come until the deadline, brings the session up to date and shows output and
/// link changes through Session::Note. Returns the first stop; nullopt at the deadline. Ctrl-C asks the
/// target to stop and the wait goes on; kCancelled when it was pressed again and again (the interrupt is
/// cleared then too). Other errors: the connection is gone. `asked` tells whether Ctrl-C was pressed,
/// whatever stopped the target then.
Result<std::optional<rpc::StopEvent>> WaitForStop(Session& session, Deadline deadline, bool* asked = nullptr);

/// The same until a stop that the user shall see; goes on from the others as filters and breakpoints say.
/// Reports it and queues the commands that belong to it.
Result<std::optional<rpc::StopEvent>> WaitForPrompt(Session& session, const StopView& view, Deadline deadline,
                                                    Report& report);

/// Lets the target go on from a stop the user need not see.
Result<void> GoOn(Session& session, const StopDecision& decision, Target::ResumeOptions options);

/// Looks at events that are there without waiting.
Result<void> DrainEvents(Session& session);

}  // namespace longwire
