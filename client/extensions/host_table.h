#pragma once

#include <string>
#include <string_view>

#include "client/engine/report.h"
#include "client/extensions/longwire_extension.h"

namespace longwire {

class Session;

/// What an lw_session is behind the ABI: one call into an extension.
struct HostState {
  Session& session;
  Report& report;
  std::string last_error;
  std::string error_text;  ///< what the extension wrote with lw_host::error
  std::string row_kind;
  Fields row;
};

/// The host side of one call into an extension. Lives on the stack for the time of the call.
class HostCall {
 public:
  HostCall(Session& session, Report& report) : state_{session, report, {}, {}, {}, {}} {}
  const lw_host& host() const;
  lw_session* handle() { return reinterpret_cast<lw_session*>(&state_); }
  /// What to tell the user after the command failed: its own words, else the last error, else its name.
  std::string ErrorText(std::string_view command) const;

 private:
  HostState state_;
};

}  // namespace longwire
