#include "transport/server_process.h"

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <string>
#include <string_view>

namespace longwire {
namespace {

/// Files of /proc have no size; these two are far below the bound.
std::string ReadProcFile(pid_t pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name, std::ios::binary);
  std::string text(8192, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

/// The `index`th word from 0 of `text`, words being separated by blanks and tabs, as a number.
std::optional<std::uint64_t> NumberAt(std::string_view text, int index) {
  constexpr std::string_view kBlanks = " \t\n";
  while (true) {
    const std::size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return std::nullopt;
    text.remove_prefix(begin);
    if (index-- == 0) break;
    const std::size_t end = text.find_first_of(kBlanks);
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end);
  }
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

}  // namespace

std::optional<ProcessIdentity> IdentifyProcess(pid_t pid) {
  const std::string stat = ReadProcFile(pid, "stat");
  // Field 2 is the program's name in brackets and may hold blanks and brackets itself; field 3 follows the
  // last one.
  const std::size_t bracket = stat.rfind(')');
  if (bracket == std::string::npos) return std::nullopt;
  const char state = bracket + 2 < stat.size() ? stat[bracket + 2] : '\0';
  const auto start_time = NumberAt(std::string_view(stat).substr(bracket + 1), 22 - 3);
  // Not the owner of /proc/PID: that is root for a process that forbids core files.
  const std::string status = ReadProcFile(pid, "status");
  const std::size_t users = status.find("\nUid:");
  if (!start_time || users == std::string::npos) return std::nullopt;
  const auto user = NumberAt(std::string_view(status).substr(users + 5), 1);
  if (!user) return std::nullopt;
  return ProcessIdentity{*start_time, static_cast<uid_t>(*user), state == 'Z' || state == 'X'};
}

bool ProcessExists(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

}  // namespace longwire
