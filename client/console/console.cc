#include "client/console/console.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "client/commands/target_text.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kWaitSecondsWithoutTerminal = 30;

/// Control keys on a line of their own (remote-debugging.md 5.5).
constexpr char kControlA = 0x01, kControlB = 0x02, kControlD = 0x04, kControlF = 0x06, kControlK = 0x0B,
               kControlR = 0x12, kControlV = 0x16, kControlW = 0x17;

Result<std::string> ReadScript(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{Errc::kUsage, "Command file '" + path + "' (-cf) cannot be read; check the path"};
  return text.str();
}

}  // namespace

Console::Console(Session& session, const CommandTable& table, ConsoleOutput& output, LineInput& input,
                 ConsoleOptions options)
    : session_(session), table_(table), output_(output), input_(input), options_(std::move(options)) {
  session_.set_prompt_source(
      [this](const rpc::PromptRequested& prompt) { return AnswerTargetPrompt(prompt); });
  session_.set_line_source([this](std::string_view prompt) { return AskUser(prompt); });
  session_.set_event_sink([this](std::string_view kind, const Fields& fields, std::string_view line) {
    output_.Announce(kind, fields, line);
  });
  output_.set_log(&session_.log());
}

int Console::Run() {
  output_.Note(options_.greeting);
  if (Result<void> queued = QueueStart(); !queued) {
    output_.Error("kd: " + queued.error().message);
    exit_code_ = ExitCodeFor(queued.error().code);
    return Leave();
  }
  TakeEvents();
  if (session_.halted()) ReportFirstStop();
  while (!leaving_) {
    if (std::exchange(unseen_stop_, false) && session_.halted()) {
      started_ ? ShowCurrentStop() : ReportFirstStop();
      continue;
    }
    if (std::string queued = session_.TakeQueuedCommands(); !queued.empty()) {
      pending_ = pending_.empty() ? queued : queued + "\n" + pending_;
    }
    if (!session_.halted() && !lost_ && !prompt_running_) {
      if (WaitForTarget() == Wait::kGivenUp) break;
      continue;
    }
    if (pending_.empty() && !ReadCommand()) continue;
    prompt_running_ = false;
    RunNext();
  }
  return Leave();
}

Result<void> Console::QueueStart() {
  if (options_.script) {
    Result<std::string> script = ReadScript(*options_.script);
    if (!script) return script.error();
    pending_ = std::move(*script);
  }
  for (const std::string& commands : options_.commands) {
    if (!pending_.empty()) pending_ += "\n";
    pending_ += commands;
  }
  return {};
}

// ---- the target
// -----------------------------------------------------------------------------------------------------

void Console::ReportFirstStop() {
  started_ = true;
  unseen_stop_ = false;
  Report report = output_.MakeReport();
  ReportTargetVersion(session_, report);
  output_.FinishEvent("target", report);
  ShowCurrentStop();
}

/// The stop the target was in when the session began.
void Console::ShowCurrentStop() {
  Report report = output_.MakeReport();
  StopDecision decision = ReportStop(session_, *session_.target().stop(), {}, report);
  session_.QueueCommands(decision.commands);
  output_.FinishEvent("stop", report);
  if (!decision.resume || !session_.target().driving()) return;
  if (Result<void> resumed = GoOn(session_, decision, {}); !resumed) output_.Error(resumed.error().message);
}

Console::Wait Console::WaitForTarget() {
  Deadline deadline;
  std::optional<std::uint32_t> seconds = options_.wait_seconds;
  if (!seconds && !input_.is_terminal()) seconds = kWaitSecondsWithoutTerminal;
  if (seconds) deadline = Clock::now() + std::chrono::seconds(*seconds);
  StopView view;
  view.temporary = session_.run_temporaries();
  if (!started_) {
    // The version block comes before the first stop's text, so that stop is reported here.
    Result<std::optional<rpc::StopEvent>> stop = WaitForStop(session_, deadline);
    if (stop && *stop) {
      session_.interrupt().Clear();
      if (session_.halted()) ReportFirstStop();
      return Wait::kStopped;
    }
    if (!stop && stop.error().code != Errc::kCancelled) {
      LoseTarget(stop.error());
      return Wait::kPrompt;
    }
    if (!stop) prompt_running_ = true;
    if (!stop) return Wait::kPrompt;
  } else {
    Report report = output_.MakeReport();
    Result<std::optional<rpc::StopEvent>> stop = WaitForPrompt(session_, view, deadline, report);
    output_.FinishEvent("stop", report);
    if (stop && *stop) return Wait::kStopped;
    if (!stop && stop.error().code != Errc::kCancelled) {
      LoseTarget(stop.error());
      return Wait::kPrompt;
    }
    if (!stop) prompt_running_ = true;
    if (!stop) return Wait::kPrompt;
  }
  bool running = session_.target().state() == rpc::TargetState::kRunning;
  output_.Error("kd: the target " + std::string(running ? "did not stop" : "did not answer") + " within " +
                std::to_string(*seconds) + " s" +
                (running ? "; -bonc breaks in when the session begins, --wait SECONDS waits longer"
                         : "; check the link and that the target was booted for debugging, or try -bonc and "
                           "--wait SECONDS"));
  exit_code_ = ExitCodeFor(Errc::kLinkFailed);
  return Wait::kGivenUp;
}

void Console::LoseTarget(const Error& error) {
  if (lost_) return;
  lost_ = error;
  line_lost_ = true;
  output_.Error("kd: " + error.message);
  if (!input_.is_terminal()) exit_code_ = ExitCodeFor(error.code);
}

void Console::TakeEvents() {
  if (lost_) return;
  // A resume and the next stop may come together; then the target is halted before and after.
  const auto counter = [this]() -> std::uint64_t {
    return session_.halted() ? session_.target().stop()->stop_counter : 0;
  };
  const std::uint64_t before = counter();
  if (Result<void> taken = DrainEvents(session_); !taken) LoseTarget(taken.error());
  if (const std::uint64_t now = counter(); now != before) unseen_stop_ = now != 0;
}

// ---- the user
// -------------------------------------------------------------------------------------------------------

std::string Console::PromptText() const {
  const auto& stop = session_.target().stop();
  if (session_.user_process()) {
    char text[32];
    std::snprintf(text, sizeof text, "0:%03u> ", session_.processor());
    return text;
  }
  if (stop && stop->processors > 1) return std::to_string(session_.processor()) + ": kd> ";
  return "kd> ";
}

/// One line of input into pending_. False: there is nothing to run yet.
bool Console::ReadCommand() {
  output_.Prompt(PromptText());
  bool was_halted = session_.halted(), was_lost = lost_.has_value();
  LineInput::Answer answer = input_.Read([&] {
    TakeEvents();
    return unseen_stop_ || session_.halted() != was_halted || lost_.has_value() != was_lost;
  });
  if (answer.status == LineInput::Status::kInterrupted) {
    output_.Prompt("");
    if (!session_.halted() && !lost_ && session_.target().driving()) session_.target().BreakIn();
    prompt_running_ = false;
    return false;
  }
  if (answer.status == LineInput::Status::kEnd) {
    output_.Prompt("");  // ends the line
    leaving_ = true;
    return false;
  }
  ShowTyped(answer.line);
  line_lost_ = false;
  if (RunControlKey(answer.line)) return false;
  if (answer.line.find_first_not_of(" \t") == std::string::npos) {
    pending_ = Repeated(last_line_);
    return !pending_.empty();
  }
  last_line_ = answer.line;
  pending_ = std::move(answer.line);
  return true;
}

/// What ENTER runs: `d` and `u` go on where they ended, anything else runs again.
std::string Console::Repeated(const std::string& last) const {
  auto [command, rest] = CommandTable::SplitFirst(last);
  if (!rest.empty()) return last;
  auto [found, length] = table_.Match(command);
  return found && found->repeats_on_enter ? std::string(command.substr(0, length)) : last;
}

bool Console::RunControlKey(const std::string& line) {
  if (line.size() != 1) return false;
  switch (line[0]) {
    case kControlA: pending_ = ".ctrl a"; break;
    case kControlB: leaving_ = true; return true;
    case kControlD: pending_ = ".ctrl d"; break;
    case kControlF:
      pending_ = ".ctrl f";
      prompt_running_ = false;
      break;
    case kControlK: pending_ = ".ctrl k"; break;
    case kControlR: pending_ = ".ctrl r"; break;
    case kControlV: pending_ = ".ctrl v"; break;
    case kControlW: pending_ = "version"; break;
    default: return false;
  }
  RunNext();
  return true;
}

std::string Console::AnswerTargetPrompt(const rpc::PromptRequested& prompt) {
  output_.Note(EscapeTargetText(prompt.text));
  output_.Prompt("Input> ");
  LineInput::Answer answer = input_.Read({});
  ShowTyped(answer.line);
  return answer.line;
}

/// A transcript without a terminal shows what was typed.
void Console::ShowTyped(const std::string& line) {
  if (input_.is_terminal()) {
    output_.Typed(line);
  } else if (!output_.json()) {
    output_.Note(EscapeTargetText(line) + "\n");
  }
}

/// One line for a command that asks for values. Nobody answers in a JSON session.
std::optional<std::string> Console::AskUser(std::string_view prompt) {
  if (output_.json()) return std::nullopt;
  output_.Prompt(prompt);
  LineInput::Answer answer = input_.Read({});
  if (answer.status != LineInput::Status::kLine) {
    output_.Prompt("");
    return std::nullopt;
  }
  ShowTyped(answer.line);
  return std::move(answer.line);
}

/// Ctrl-C ends the whole line and the rest of a script. One that came while a command let the target run is
/// still due: it stops the target.
void Console::DropCommands() {
  pending_.clear();
  (void)session_.TakeQueuedCommands();
  if (session_.halted()) session_.interrupt().Clear();
}

void Console::RunNext() {
  std::string text = std::move(pending_);
  auto [command, rest] = CommandTable::SplitFirst(text);
  pending_ = std::string(rest);
  if (command.empty()) return;
  TakeEvents();
  if (session_.interrupt().raised()) {
    DropCommands();
    return;
  }
  Report report = output_.MakeReport();
  Result<CommandFlow> flow = table_.RunOne(session_, command, report);
  if (!flow) ReportFailure(flow.error(), report);
  output_.FinishCommand(command, report);
  if (session_.interrupt().raised()) DropCommands();
  TakeEvents();
  if (!flow) return;
  switch (*flow) {
    case CommandFlow::kPrompt:
    case CommandFlow::kRunning: break;
    case CommandFlow::kQuitDetach: resume_ = true; [[fallthrough]];
    case CommandFlow::kQuit: leaving_ = true; break;
    case CommandFlow::kServerEnded:
      lost_ = Error{Errc::kClosed, "the KD connection server was ended"};
      output_.Note("The KD connection server ends.\n");
      break;
  }
}

/// To a reader it says nothing new that a command failed with the target, or found none in a line that lost
/// it.
void Console::ReportFailure(const Error& error, Report& report) {
  TakeEvents();
  const bool known = line_lost_ && (error.code == Errc::kTargetOffline || error.message == lost_->message);
  if (!known || output_.json()) report.Error(error.message);
}

int Console::Leave() {
  session_.interrupt().Clear();
  Result<void> closed = session_.target().Close(resume_);
  if (!closed && !lost_) {
    output_.Error("kd: the target could not be given back in order: " + closed.error().message);
    if (exit_code_ == 0) exit_code_ = ExitCodeFor(closed.error().code);
  }
  return exit_code_;
}

}  // namespace longwire
