#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"
#include "proto/finding.h"

namespace longwire {

/// What `-doctor` looks at, in this order.
enum class DoctorStep : std::uint8_t {
  kName = 1,
  kRoute,
  kPort,
  kTls,
  kPassword,
  kVersion,
  kDevice,
  kPermission,
  kUse,
  kLine,
  kFraming,
  kTarget,
};
inline constexpr DoctorStep kLastDoctorStep = DoctorStep::kTarget;
/// "name", "route", ...
std::string_view NameOf(DoctorStep step);

/// kWarning: works, but will surprise. kSkipped: does not apply, or a step before it failed.
enum class StepOutcome : std::uint8_t { kOk = 1, kWarning, kFailed, kSkipped };
inline constexpr StepOutcome kLastStepOutcome = StepOutcome::kSkipped;
std::string_view NameOf(StepOutcome outcome);

struct DiagnosedStep {
  DoctorStep step = DoctorStep::kName;
  StepOutcome outcome = StepOutcome::kOk;
  std::string text;           ///< what was found; the cause when failed. Holds no secret, but names of peers
  std::uint16_t finding = 0;  ///< kFailed: a Finding, maybe of a newer version
  std::string finding_name;   ///< kFailed: "port-refused"
  std::string next;           ///< kFailed: what to do
  Errc code = Errc::kInternal;  ///< kFailed: decides the exit code
};

/// The record of one examination: steps are added in order and told at once; after the first failure nothing
/// more is looked at. One thread.
class Diagnosis {
 public:
  using Sink = std::function<void(const DiagnosedStep&)>;
  explicit Diagnosis(Sink told = {}) : told_(std::move(told)) {}

  void Ok(DoctorStep step, std::string text) { Add({step, StepOutcome::kOk, std::move(text)}); }
  void Warn(DoctorStep step, std::string text) { Add({step, StepOutcome::kWarning, std::move(text)}); }
  void Skip(DoctorStep step, std::string why) { Add({step, StepOutcome::kSkipped, std::move(why)}); }
  void Fail(DoctorStep step, Finding finding, std::string text);
  /// A step somebody else (a server) reported.
  void Add(DiagnosedStep step);
  /// Reports what was not looked at after a failure, up to `last`.
  void SkipRest(DoctorStep last);

  const std::vector<DiagnosedStep>& steps() const { return steps_; }
  /// The first thing that is wrong; nullptr: nothing is.
  const DiagnosedStep* failure() const;
  bool failed() const { return failure() != nullptr; }
  /// 0, the documented code of the failure, or 130 after Cancel().
  int exit_code() const;

  /// Ctrl-C, or a client that left: what runs ends soon, undoing what it did. `on_cancel` is what is to be
  /// done for that at the moment; it is called at most once.
  /// False: nothing needs to be undone, the examination may be dropped as it is.
  bool Cancel();
  bool cancelled() const { return cancelled_; }
  void set_on_cancel(std::function<void()> on_cancel) { on_cancel_ = std::move(on_cancel); }

 private:
  Sink told_;
  std::vector<DiagnosedStep> steps_;
  std::function<void()> on_cancel_;
  bool cancelled_ = false;
};

/// One or two lines, without a newline at the end: `FAILED  port  LW-D301 port-refused: ...` and what to do.
std::string FormatStep(const DiagnosedStep& step);

}  // namespace longwire
