#pragma once

#include <string>
#include <string_view>

#include "client/engine/report.h"

namespace longwire {

/// One line of `--json`: {"command":...,"rows":[{"kind":...,FIELDS}],"text":...,"error":...}. `error` is null
/// when the command succeeded. Addresses are strings "0x..."; text that is not UTF-8 gets replacement
/// characters.
std::string ReportToJson(std::string_view command, const Report& report);
/// The same for what no command asked for, a stop: {"event":KIND,"rows":[...],"text":...,"error":...}.
std::string EventReportToJson(std::string_view kind, const Report& report);
/// One line for text that belongs to no command: {"event":KIND,"text":...}.
std::string EventToJson(std::string_view kind, std::string_view text);

}  // namespace longwire
