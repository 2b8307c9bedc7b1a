#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/commands/typed_value.h"
#include "client/engine/session.h"

namespace longwire {

/// A local variable or parameter of a frame, with its value.
struct FrameVariable {
  LocalVariable variable;
  TypeReference type;
  std::uint64_t size = 0;
  std::optional<std::uint64_t> address;  ///< nullopt: in registers or pieces, or unavailable
  bool known = false;                    ///< false: optimized out here, or unreadable; of pieces: all are
  MemoryView value;                      ///< `size` bytes

  /// Whether there is anything to show: all of it, or some of its pieces.
  bool Visible() const { return known || (!variable.location.pieces.empty() && value.AnyKnown()); }
};

/// Variables in scope at the program counter of these registers, read in one round trip. kNotFound with the
/// text of engine.md 2.13 when there are only public symbols.
Result<std::vector<FrameVariable>> ReadFrameVariables(Session& session, const RegisterSet& registers);
/// Those of the session's scope.
Result<std::vector<FrameVariable>> ReadFrameVariables(Session& session);
/// "@ rcx" or "@ 0x0000000e`12345670", as `dt` shows it.
std::string LocationText(Session& session, const FrameVariable& variable);
/// "@rcx", "@rsp+0x0030" or, of pieces, "@rcx,@rdx", as `dv /V` shows it; empty if unavailable.
std::string RegisterLocationText(const FrameVariable& variable);

}  // namespace longwire
