#pragma once

#include <optional>

#include "proto/kd/context.h"
#include "proto/kd/debugger_data.h"
#include "proto/kd/manipulate.h"
#include "proto/kd/state_change.h"
#include "proto/kd/translation.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// What is known of a target since it answered GetVersion; void after a restart.
struct TargetFacts {
  bool identified = false;
  kd::Machine machine = kd::Machine::kUnknown;
  std::optional<kd::DebuggerData> data;
  rpc::TargetDescription description;
  bool context_ex_refused = false;   ///< GetContextEx failed once (quirk Q13)
  bool inconsistent_reply = false;   ///< a reply claimed more bytes than it had, and was clipped
  std::optional<bool> search_works;  ///< whether SearchMemory finds what is there; nullopt: not tried yet

  const kd::ContextLayout* layout() const { return kd::FindContextLayout(machine); }
  /// Address in the debugger data, 0 if absent.
  std::uint64_t DataField(std::size_t offset) const {
    return data ? kd::PlainAddress(machine, data->Get(offset, 8).value_or(0)) : 0;
  }
};

/// The current stop, as the target reported it and as it was changed since.
struct Stop {
  kd::StateChange change;
  kd::ControlReport report;
  std::uint64_t program_counter = 0;  ///< follows SetContext
  std::uint64_t dr7 = 0;              ///< to be given to Continue2

  const kd::ExceptionReport* exception() const { return std::get_if<kd::ExceptionReport>(&change.report); }
  std::uint32_t code() const { return exception() != nullptr ? exception()->code : 0; }
  std::uint16_t processor() const { return change.processor; }
  /// How much code the target takes breakpoints out of when it reports (2.5): what it reports of it, or as
  /// much as is usual where the control report is not trusted.
  std::uint64_t stream_bytes() const {
    constexpr std::uint64_t kUsual = 16;
    return report.valid ? report.instruction_count : kUsual;
  }
};

}  // namespace longwire
