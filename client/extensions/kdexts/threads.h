#pragma once

#include <string>

#include "longwire_extension.hpp"

namespace kdexts {

/// Parts of a thread's display, the flags of `!process` and `!thread`.
inline constexpr unsigned kThreadWaits = 2, kThreadStack = 4, kThreadBriefStack = 8;

/// `!thread [address [flags]]` (engine.md 3.7).
lw_status Thread(const lw_host* host, lw_session* session, const char* arguments);

/// Prints one thread; `indent` blanks before each line.
void ShowThread(lw::Debugger& debugger, std::uint64_t thread, unsigned flags, const std::string& indent);

/// The EPROCESS a thread belongs to; nullopt without types or memory.
std::optional<std::uint64_t> ProcessOfThread(lw::Debugger& debugger, std::uint64_t thread);

/// Spans of ETHREAD that ShowThread reads, relative to the field `link`, for reading ahead.
std::vector<lw_span> ThreadSpans(lw::Debugger& debugger, std::uint64_t link_offset);

/// "0:00:01.203" style display of KTHREAD times: ticks of the clock interrupt.
std::string TickTime(lw::Debugger& debugger, std::uint64_t ticks);

}  // namespace kdexts
