#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proto/rpc/messages.h"

namespace longwire {

/// Watches the debug output for the text a kernel prints before it breaks in with a bug check
/// (kd-protocol.md 4.1, 5.7). The text may come in any number of pieces.
class BugcheckWatch {
 public:
  void OnPrint(std::string_view text);
  /// What the prints since the last Clear() said; nullopt: no bug check.
  const std::optional<rpc::Bugcheck>& found() const { return found_; }
  void Clear();

 private:
  std::string tail_;  ///< bounded
  std::optional<rpc::Bugcheck> found_;
};

}  // namespace longwire
