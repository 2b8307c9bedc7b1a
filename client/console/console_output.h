#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "client/engine/report.h"
#include "client/engine/session_log.h"

namespace longwire {

/// Where a console writes: results to one file, errors to another; as text, or as one JSON object a line.
/// Flushes after every write, so that what reads a pipe sees lines as they come. Control characters never
/// reach a terminal: text is escaped here, whoever wrote it.
class ConsoleOutput {
 public:
  ConsoleOutput(std::FILE* out, std::FILE* error, bool json) : out_(out), error_(error), json_(json) {}

  /// Everything shown goes there, too, while it is open; it outlives this object.
  void set_log(SessionLog* log) { log_ = log; }
  /// A line the terminal has shown already, because it was typed there.
  void Typed(std::string_view line);

  bool json() const { return json_; }
  /// Text of no command: target output, notes.
  void Note(std::string_view text);
  void Prompt(std::string_view prompt);
  void Error(std::string_view message);  ///< without line end

  /// A report whose text is shown as it grows (text), or all at once by the calls below (JSON).
  Report MakeReport();
  void FinishCommand(std::string_view command, const Report& report);
  /// An event as a row and a line; the line is left out if it is empty.
  void Announce(std::string_view kind, Fields fields, std::string_view line);
  void FinishEvent(std::string_view kind, const Report& report);

 private:
  void Write(std::FILE* file, std::string_view text);
  void Log(std::string_view text);

  std::FILE* out_;
  std::FILE* error_;
  bool json_;
  SessionLog* log_ = nullptr;
  bool at_line_start_ = true;
};

}  // namespace longwire
