#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/engine/report.h"
#include "client/engine/session.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// What the debugger does about a stop: the user's filters and breakpoint conditions decide.
struct StopDecision {
  bool resume = false;    ///< go on without a prompt
  bool handled = true;    ///< for the resume
  bool break_in = false;  ///< ask the target to stop again once it runs (-b)
  std::string commands;   ///< of the breakpoint or filter that was hit, `;` between them
};

/// How a stop is shown.
struct StopView {
  bool after_step = false;               ///< the user's `t` or `p` ended: registers, no reason
  bool show_registers = true;            ///< of a step
  std::vector<std::uint64_t> temporary;  ///< breakpoints of this run: a stop at one needs no reason
};

/// Looks at a stop, counts passes, and writes what `kd` prints about it (engine.md 3.6) with one row of kind
/// "stop". Nothing is written when the decision is to resume silently. The session must have seen the event.
StopDecision ReportStop(Session& session, const rpc::StopEvent& stop, const StopView& view, Report& report);

/// "ModLoad: START END   PATH" or "Unload module PATH at BASE", with its line end.
std::string ModuleLine(Session& session, const rpc::ModuleChange& change);

/// For a terminal: control characters, C1 controls and what is not UTF-8 become visible as \xNN; newline and
/// tab stay. CR before LF goes.
std::string EscapeTargetText(std::string_view text);

}  // namespace longwire
