#include "client/engine/run_control.h"

#include <utility>

#include "client/engine/driver_files.h"
#include "client/engine/role_text.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::hours kLongWait{24};
/// The Ctrl-C that ends a wait: those before it ask the target to stop.
constexpr unsigned kPressesRunning = 3, kPressesOffline = 2;

void ShowEvent(Session& session, const rpc::Event& event) {
  if (auto* output = std::get_if<rpc::Output>(&event)) {
    if (output->skipped > 0)
      session.Note("[" + std::to_string(output->skipped) + " bytes of output skipped]\n");
    session.Note(EscapeTargetText(output->text));
  } else if (auto* prompt = std::get_if<rpc::PromptRequested>(&event)) {
    if (!session.target().driving()) {
      session.Note(EscapeTargetText(prompt->text) + "\n");
      return;
    }
    std::string answer = session.prompt_source() ? session.prompt_source()(*prompt) : std::string();
    if (prompt->maximum_answer > 0 && answer.size() > prompt->maximum_answer)
      answer.resize(prompt->maximum_answer);
    if (Result<void> sent = session.target().AnswerPrompt(std::move(answer)); !sent) {
      session.Note("The answer could not be sent: " + sent.error().message + "\n");
    }
  } else if (auto* file = std::get_if<rpc::FileRequested>(&event)) {
    if (!session.target().driving()) return;  // the driver answers
    DriverFiles::Answer answer = session.driver_files().Serve(*file);
    session.Note(EscapeTargetText(answer.note));
    // One that came too late is not missed: the target has given up and taken its own file.
    (void)session.target().AnswerFile(answer.answer, answer.data);
  } else if (auto* module = std::get_if<rpc::ModuleChanged>(&event)) {
    if (session.options().verbose && !module->change.all) session.Note(ModuleLine(session, module->change));
  } else if (auto* link = std::get_if<rpc::LinkChanged>(&event)) {
    if (!link->text.empty()) session.Note(EscapeTargetText(link->text) + "\n");
  } else if (auto* driver = std::get_if<rpc::DriverChanged>(&event)) {
    session.Announce("driver", DriverFields(*driver), DriverText(*driver));
  } else if (auto* client = std::get_if<rpc::ClientChanged>(&event)) {
    session.Announce("client", ClientFields(*client), ClientText(*client));
  }
}

}  // namespace

Result<std::optional<rpc::StopEvent>> WaitForStop(Session& session, Deadline deadline, bool* asked) {
  unsigned presses = 0;
  auto outage = session.target().outage();
  while (true) {
    Result<std::optional<rpc::Event>> event =
        session.target().WaitEvent(deadline.value_or(Clock::now() + kLongWait));
    // What the network cost is not the target's fault.
    if (deadline) *deadline += session.target().outage() - outage;
    outage = session.target().outage();
    if (!event) {
      if (event.error().code != Errc::kCancelled) return event.error();
      session.interrupt().Clear();
      if (asked) *asked = true;
      // Who only watches cannot stop the target.
      if (!session.target().driving()) return event.error();
      bool running = session.target().state() == rpc::TargetState::kRunning;
      if (++presses >= (running ? kPressesRunning : kPressesOffline)) return event.error();
      session.target().BreakIn();
      session.Note(running && presses > 1
                       ? "The target has not answered the break-in yet; Ctrl-C again gives a prompt.\n"
                   : running
                       ? ""
                       : "Break-in requested for when the target answers; Ctrl-C again gives a prompt.\n");
      continue;
    }
    if (!*event) {
      if (deadline && Clock::now() >= *deadline) return std::optional<rpc::StopEvent>();
      continue;
    }
    session.OnEvent(**event);
    if (auto* stop = std::get_if<rpc::StopEvent>(&**event))
      return std::optional<rpc::StopEvent>(std::move(*stop));
    ShowEvent(session, **event);
  }
}

Result<std::optional<rpc::StopEvent>> WaitForPrompt(Session& session, const StopView& view, Deadline deadline,
                                                    Report& report) {
  while (true) {
    bool asked = false;
    Result<std::optional<rpc::StopEvent>> stop = WaitForStop(session, deadline, &asked);
    if (!stop || !*stop) return stop;
    // The Ctrl-C that led here must not cancel the commands that show where here is.
    session.interrupt().Clear();
    StopDecision decision = ReportStop(session, **stop, view, report);
    // Who pressed Ctrl-C wants a prompt, also when a breakpoint came first whose commands would go on.
    if (!asked) session.QueueCommands(decision.commands);
    if (!decision.resume) return stop;
    // The driver decides about that, too.
    if (!session.target().driving()) continue;
    Target::ResumeOptions options;
    options.temporary_breakpoints = view.temporary;
    Result<void> resumed = GoOn(session, decision, std::move(options));
    if (!resumed && resumed.error().code != Errc::kFenced) return resumed.error();
  }
}

Result<void> GoOn(Session& session, const StopDecision& decision, Target::ResumeOptions options) {
  options.handled = decision.handled;
  if (Result<void> resumed = session.target().Resume(options); !resumed) return resumed;
  if (decision.break_in) session.target().BreakIn();
  return {};
}

Result<void> DrainEvents(Session& session) {
  while (true) {
    Result<std::optional<rpc::Event>> event = session.target().WaitEvent(Clock::now());
    if (!event && event.error().code == Errc::kCancelled) return {};
    if (!event) return event.error();
    if (!*event) return {};
    session.OnEvent(**event);
    ShowEvent(session, **event);
  }
}

}  // namespace longwire
