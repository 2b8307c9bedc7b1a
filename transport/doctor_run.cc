#include "transport/doctor_run.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace longwire {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kUndoLimit{6};

void Print(const std::string& text) {
  std::fputs((text + "\n").c_str(), stdout);
  std::fflush(stdout);
}

std::string LowerCaseName(StepOutcome outcome) {
  return outcome == StepOutcome::kFailed ? "failed" : std::string(NameOf(outcome));
}

/// First signal: the examination ends as soon as it left things as they were. Second: now.
class Interrupts {
 public:
  Interrupts(asio::io_context& context, Diagnosis& diagnosis)
      : context_(context), diagnosis_(diagnosis), signals_(context, SIGINT, SIGTERM), undo_(context) {
    Wait();
  }

 private:
  void Wait() {
    signals_.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      if (diagnosis_.cancelled() || !diagnosis_.Cancel()) return context_.stop();
      undo_.expires_after(kUndoLimit);
      undo_.async_wait([this](boost::system::error_code ended) {
        if (!ended) context_.stop();
      });
      Wait();
    });
  }

  asio::io_context& context_;
  Diagnosis& diagnosis_;
  asio::signal_set signals_;
  asio::steady_timer undo_;
};

std::string Verdict(const Diagnosis& diagnosis) {
  if (const DiagnosedStep* failed = diagnosis.failure()) {
    return "The first thing that is wrong: " + std::string(NameOf(failed->step)) + ", LW-D" +
           std::to_string(failed->finding) + " " + failed->finding_name + " (docs/errors.md).";
  }
  return diagnosis.cancelled() ? "Interrupted." : "Nothing is wrong.";
}

}  // namespace

std::string DiagnosisJson(const std::string& title, const Diagnosis& diagnosis) {
  using nlohmann::ordered_json;
  ordered_json steps = ordered_json::array();
  for (const DiagnosedStep& step : diagnosis.steps()) {
    ordered_json row{
        {"step", NameOf(step.step)}, {"outcome", LowerCaseName(step.outcome)}, {"text", step.text}};
    if (step.outcome == StepOutcome::kFailed) {
      row["code"] = "LW-D" + std::to_string(step.finding);
      row["name"] = step.finding_name;
      row["next"] = step.next;
    }
    steps.push_back(std::move(row));
  }
  ordered_json object{{"connection", title}, {"steps", std::move(steps)}};
  const DiagnosedStep* failed = diagnosis.failure();
  object["failure"] = failed ? ordered_json("LW-D" + std::to_string(failed->finding)) : ordered_json();
  object["exit"] = diagnosis.exit_code();
  return object.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

int RunDoctor(const DoctorRun& run, const Examination& examine) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto escaped = [&run](const std::string& text) { return run.escape ? run.escape(text) : text; };
  asio::io_context context(1);
  const auto diagnosis = std::make_shared<Diagnosis>([&](const DiagnosedStep& step) {
    if (run.json || step.outcome == StepOutcome::kSkipped) return;
    DiagnosedStep shown = step;
    shown.text = escaped(step.text);
    shown.finding_name = escaped(step.finding_name);
    shown.next = escaped(step.next);
    Print(FormatStep(shown));
  });
  if (!run.json) Print("Examining " + run.title);
  bool broken = false;
  {
    Interrupts interrupts(context, *diagnosis);
    asio::co_spawn(context, examine(context.get_executor(), diagnosis), [&](std::exception_ptr failure) {
      broken = failure != nullptr;
      context.stop();
    });
    context.run();
  }
  if (broken) {
    std::fprintf(stderr, "an internal error ended the examination; report it\n");
    return ExitCodeFor(Errc::kInternal);
  }
  if (diagnosis->failed() || diagnosis->cancelled()) diagnosis->SkipRest(run.last);
  Print(run.json ? DiagnosisJson(run.title, *diagnosis) : escaped(Verdict(*diagnosis)));
  return diagnosis->exit_code();
}

}  // namespace longwire
