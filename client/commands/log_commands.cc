#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "client/commands/command.h"

namespace longwire {
namespace {

constexpr char kDefaultLog[] = "Dbgeng.log";

/// `_PID_YYYY-MM-DD_HH-MM-SS-mmm`, PID in hexadecimal.
std::string TimeMark() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char date[32], mark[64];
  std::strftime(date, sizeof date, "%Y-%m-%d_%H-%M-%S", &local);
  std::snprintf(mark, sizeof mark, "_%04x_%s-%03d", static_cast<unsigned>(::getpid()), date,
                static_cast<int>(milliseconds));
  return mark;
}

std::string WithTimeMark(const std::string& path) {
  const std::size_t slash = path.rfind('/'), dot = path.rfind('.');
  const bool has_suffix = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  return has_suffix ? path.substr(0, dot) + TimeMark() + path.substr(dot) : path + TimeMark();
}

Result<CommandFlow> OpenLog(Session& session, Arguments& arguments, Report& report, bool append) {
  SessionLog::Options options;
  options.append = append;
  bool marked = false;
  for (;;) {
    if (arguments.Option("/u")) {
      options.unicode = true;
    } else if (!append && arguments.Option("/t")) {
      marked = true;
    } else if (!append && arguments.Option("/d")) {
      return Error{Errc::kUnsupported, ".logopen /d is not supported; name the file"};
    } else {
      break;
    }
  }
  std::string path = arguments.TakeRest();
  if (path.empty()) path = kDefaultLog;
  if (marked) path = WithTimeMark(path);
  if (Result<void> opened = session.log().Open(path, options); !opened) return opened.error();
  report.Row("log", {{"path", path}}, "Opened log file '" + path + "'");
  return CommandFlow::kPrompt;
}

Result<CommandFlow> CloseLog(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const std::string path = session.log().path();
  if (path.empty()) return Error{Errc::kUsage, "No log file open; .logopen FILE opens one"};
  report.Row("log", {{"path", path}}, "Closing open log file " + path);
  session.log().Close();
  return CommandFlow::kPrompt;
}

Result<CommandFlow> ShowLog(Session& session, Arguments& arguments, Report& report) {
  if (Result<void> end = arguments.ExpectEnd(); !end) return end.error();
  const std::string& path = session.log().path();
  report.Row("log", {{"path", path}}, path.empty() ? "No log file open" : "Log '" + path + "' open");
  return CommandFlow::kPrompt;
}

}  // namespace

void AddLogCommands(CommandTable& table) {
  for (const bool append : {false, true}) {
    table.Add({{append ? ".logappend" : ".logopen"},
               append ? ".logappend [/u] [FILE]" : ".logopen [/t] [/u] [FILE]",
               append ? "Writes a log behind what the file holds." : "Writes a log of the session.",
               [append](Session& session, Arguments& arguments, Report& report) {
                 return OpenLog(session, arguments, report, append);
               },
               false,
               false});
  }
  table.Add({{".logclose"}, ".logclose", "Ends the log.", CloseLog, false, false});
  table.Add({{".logfile"}, ".logfile", "Shows where the log is written.", ShowLog, false, false});
}

}  // namespace longwire
