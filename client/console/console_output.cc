#include "client/console/console_output.h"

#include "client/engine/event_text.h"
#include "client/engine/report_json.h"

namespace longwire {

void ConsoleOutput::Write(std::FILE* file, std::string_view text) {
  if (text.empty()) return;
  // Names and strings of a target, a symbol file or a server are in any of it. JSON escapes by itself.
  const std::string shown = json_ && file == out_ ? std::string(text) : EscapeTargetText(text);
  std::fwrite(shown.data(), 1, shown.size(), file);
  std::fflush(file);
  Log(shown);
  if (file == out_) at_line_start_ = text.back() == '\n';
}

void ConsoleOutput::Log(std::string_view text) {
  if (log_ == nullptr) return;
  const std::string path = log_->path();
  if (log_->Write(text)) return;
  std::fprintf(error_, "kd: the log %s cannot be written any more and was closed; is the disk full?\n",
               EscapeTargetText(path).c_str());
}

void ConsoleOutput::Typed(std::string_view line) {
  at_line_start_ = true;
  Log(EscapeTargetText(line) + "\n");
}

void ConsoleOutput::Note(std::string_view text) {
  if (text.empty()) return;
  Write(out_, json_ ? EventToJson("output", text) + "\n" : std::string(text));
}

void ConsoleOutput::Prompt(std::string_view prompt) {
  if (json_) return;
  // Output of the target need not end its line.
  Write(out_, at_line_start_ ? std::string(prompt) : "\n" + std::string(prompt));
}

void ConsoleOutput::Error(std::string_view message) { Write(error_, std::string(message) + "\n"); }

Report ConsoleOutput::MakeReport() {
  if (json_) return Report({}, [this](std::string_view text) { Write(error_, text); });
  return Report([this](std::string_view text) { Write(out_, text); },
                [this](std::string_view text) { Write(error_, text); });
}

void ConsoleOutput::Announce(std::string_view kind, Fields fields, std::string_view line) {
  // The prompt, or output of the target, may stand on the line.
  if (!json_ && !line.empty() && !at_line_start_) Write(out_, "\n");
  Report report = MakeReport();
  report.Row(kind, std::move(fields), line);
  FinishEvent(kind, report);
}

void ConsoleOutput::FinishCommand(std::string_view command, const Report& report) {
  if (json_) Write(out_, ReportToJson(command, report) + "\n");
}

void ConsoleOutput::FinishEvent(std::string_view kind, const Report& report) {
  if (json_) Write(out_, EventReportToJson(kind, report) + "\n");
}

}  // namespace longwire
