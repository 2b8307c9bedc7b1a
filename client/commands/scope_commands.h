#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "client/commands/command.h"

namespace longwire {

/// What `k` and `.frame` share: the context a selected frame was walked from.
struct FrameScope {
  std::size_t default_frames = 256;

  /// Registers of frame 0 of the scope: those of the processor, or of a set context. `set_context` tells
  /// which.
  Result<RegisterSet> Innermost(Session& session, bool& set_context) const;
  /// Remembers where frame numbers count from before a frame other than 0 is selected.
  void SelectedFrom(const RegisterSet& innermost, bool set_context, std::uint64_t stop_counter);

 private:
  std::optional<RegisterSet> innermost_;
  bool set_context_ = false;
  std::uint64_t stop_counter_ = 0;
};

// Parts of AddStackCommands that live in files of their own.
void AddScopeCommands(CommandTable& table,
                      const std::shared_ptr<FrameScope>& scope);  ///< .frame .f .cxr .ecxr .trap
void AddLocalCommands(CommandTable& table);                       ///< dv

}  // namespace longwire
