#include "proto/diagnosis.h"

#include <algorithm>
#include <utility>

namespace longwire {
namespace {

constexpr int kExitInterrupted = 130;
constexpr std::size_t kOutcomeWidth = 9, kStepWidth = 12;

std::string Padded(std::string_view text, std::size_t width) {
  std::string padded(text);
  padded.resize(std::max(width, padded.size() + 1), ' ');
  return padded;
}

}  // namespace

std::string_view NameOf(DoctorStep step) {
  switch (step) {
    case DoctorStep::kName: return "name";
    case DoctorStep::kRoute: return "route";
    case DoctorStep::kPort: return "port";
    case DoctorStep::kTls: return "tls";
    case DoctorStep::kPassword: return "password";
    case DoctorStep::kVersion: return "version";
    case DoctorStep::kDevice: return "device";
    case DoctorStep::kPermission: return "permission";
    case DoctorStep::kUse: return "use";
    case DoctorStep::kLine: return "line";
    case DoctorStep::kFraming: return "framing";
    case DoctorStep::kTarget: return "target";
  }
  return "unknown";
}

std::string_view NameOf(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::kOk: return "ok";
    case StepOutcome::kWarning: return "warning";
    case StepOutcome::kFailed: return "FAILED";
    case StepOutcome::kSkipped: return "skipped";
  }
  return "unknown";
}

void Diagnosis::Fail(DoctorStep step, Finding finding, std::string text) {
  DiagnosedStep failed{step, StepOutcome::kFailed, std::move(text), static_cast<std::uint16_t>(finding)};
  if (const FindingFacts* facts = FactsOf(finding)) {
    failed.finding_name = facts->name;
    failed.next = facts->next;
    failed.code = facts->code;
  }
  Add(std::move(failed));
}

void Diagnosis::Add(DiagnosedStep step) {
  steps_.push_back(std::move(step));
  if (told_) told_(steps_.back());
}

void Diagnosis::SkipRest(DoctorStep last) {
  for (int number = 1; number <= static_cast<int>(last); ++number) {
    const auto step = static_cast<DoctorStep>(number);
    const bool told = std::any_of(steps_.begin(), steps_.end(),
                                  [step](const DiagnosedStep& one) { return one.step == step; });
    if (!told) Skip(step, cancelled_ ? "interrupted" : "a step before it failed");
  }
}

const DiagnosedStep* Diagnosis::failure() const {
  const auto found = std::find_if(steps_.begin(), steps_.end(), [](const DiagnosedStep& step) {
    return step.outcome == StepOutcome::kFailed;
  });
  return found == steps_.end() ? nullptr : &*found;
}

int Diagnosis::exit_code() const {
  if (const DiagnosedStep* failed = failure()) return ExitCodeFor(failed->code);
  return cancelled_ ? kExitInterrupted : 0;
}

bool Diagnosis::Cancel() {
  cancelled_ = true;
  const auto on_cancel = std::exchange(on_cancel_, nullptr);
  if (on_cancel) on_cancel();
  return on_cancel != nullptr;
}

std::string FormatStep(const DiagnosedStep& step) {
  std::string line = Padded(NameOf(step.outcome), kOutcomeWidth) + Padded(NameOf(step.step), kStepWidth);
  if (step.outcome != StepOutcome::kFailed) return line + step.text;
  line += "LW-D" + std::to_string(step.finding) + " " + step.finding_name + ": " + step.text;
  if (!step.next.empty()) line += "\n" + std::string(kOutcomeWidth + kStepWidth, ' ') + "next: " + step.next;
  return line;
}

}  // namespace longwire
