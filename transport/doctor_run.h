#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proto/diagnosis.h"
#include "transport/stream.h"

namespace longwire {

/// `-doctor` of a program.
struct DoctorRun {
  std::string title;  ///< what is examined, secrets masked
  bool json = false;  ///< one object at the end instead of a line per step
  DoctorStep last = DoctorStep::kTarget;
  /// Makes text of peers harmless for a terminal; empty: all text is our own.
  std::function<std::string(std::string_view)> escape;
};
using Examination = std::function<Awaitable<void>(Executor, std::shared_ptr<Diagnosis>)>;

/// Runs `examine` on an executor of its own, printing to standard output as it goes, and returns the exit
/// code. Ctrl-C and SIGTERM end it: what it changed is put back first, for some seconds; a second one ends at
/// once.
int RunDoctor(const DoctorRun& run, const Examination& examine);

/// The object that --json prints.
std::string DiagnosisJson(const std::string& title, const Diagnosis& diagnosis);

}  // namespace longwire
