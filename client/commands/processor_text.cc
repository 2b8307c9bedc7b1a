#include "client/commands/processor_text.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>

namespace longwire {
namespace {

/// The line of a thread of a user minidump: `.  0  Id: 5fc.65c Suspend: 1 Teb: 000007ff`fffde000`.
std::string ThreadLine(const Session& session, const rpc::UserProcess& process, std::uint32_t number) {
  if (number >= process.threads.size()) return {};
  const rpc::UserThread& thread = process.threads[number];
  char text[96];
  std::snprintf(text, sizeof text, "  Id: %x.%x Suspend: %u Teb: ", process.id, thread.id,
                thread.suspend_count);
  return text + session.Address(thread.teb);
}

}  // namespace

std::uint32_t ProcessorCount(Session& session) { return std::max(1u, session.target().stop()->processors); }

Result<std::uint32_t> FindProcessor(Session& session, std::string_view which) {
  if (which == ".") return session.processor();
  if (which == "#") return session.target().stop()->processor;
  std::uint32_t processor = 0;
  auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), processor);
  if (error == std::errc::invalid_argument || end != which.data() + which.size())
    return Error{Errc::kUsage, "^ Syntax error in '~" + std::string(which) + "'"};
  const std::uint32_t count = ProcessorCount(session);
  if (error != std::errc() || processor >= count) {
    return Error{Errc::kUsage, "^ Illegal processor error in '~" + std::string(which) + "'; there are " +
                                   std::to_string(count) + " processors, from 0"};
  }
  return processor;
}

void ReportProcessor(Session& session, std::uint32_t processor, Report& report) {
  const bool stopped = processor == session.target().stop()->processor;
  const bool current = processor == session.processor();
  report.Row(
      "processor",
      {{"processor", static_cast<std::int64_t>(processor)}, {"current", current}, {"stopped", stopped}},
      std::string(current   ? "."
                  : stopped ? "#"
                            : " ") +
          " " + std::to_string(processor) +
          (session.user_process() ? ThreadLine(session, *session.user_process(), processor) : ""));
}

}  // namespace longwire
