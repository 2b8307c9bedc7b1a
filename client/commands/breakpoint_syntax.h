#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/commands/command.h"
#include "client/engine/breakpoints.h"

// What the commands on breakpoints have in common (engine.md 3.6).
namespace longwire {

/// Ids are decimal whatever the radix is (engine.md 2.2).
std::optional<unsigned> ParseBreakpointId(std::string_view text);
/// The breakpoints named by `0 2 3-5` or `*`. kNotFound names one that does not exist.
Result<std::vector<unsigned>> TakeBreakpointIds(Session& session, Arguments& arguments);
/// `"text"` at the front, consumed; empty if there is none.
Result<std::string> TakeQuoted(Arguments& arguments);
/// `/1 /a /c DEPTH /C DEPTH /p EPROCESS /t KTHREAD /w "CONDITION"`.
Result<void> TakeBreakpointOptions(Arguments& arguments, Breakpoint& breakpoint);
/// What stands behind the address: `[PASSES] ["commands"]`, and nothing more.
Result<void> TakeBreakpointTail(Arguments& arguments, Breakpoint& breakpoint);
/// The options as typed, with a blank behind each: ` /1 /w "@rcx == 1"` without the first blank.
std::string BreakpointOptionsText(const Session& session, const Breakpoint& breakpoint);
/// "e", "w", "r", "i" of data breakpoints; empty of code breakpoints.
std::string_view AccessLetter(const Breakpoint& breakpoint);

/// Part of AddBreakpointCommands in a file of its own.
void AddBreakpointEditCommands(CommandTable& table);  ///< bm br bs bsc .bpcmds

}  // namespace longwire
