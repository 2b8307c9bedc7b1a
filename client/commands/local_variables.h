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
  std::optional<std::uint64_t> address;  ///< nullopt: in a register, or unavailable
  bool known = false;                    ///< false: optimized out here, or unreadable
  MemoryView value;                      ///< `size` bytes
};

/// Variables in scope at the program counter of these registers, read in one round trip. kNotFound with the
/// text of engine.md 2.13 when there are only public symbols.
Result<std::vector<FrameVariable>> ReadFrameVariables(Session& session, const RegisterSet& registers);
/// Those of the session's scope.
Result<std::vector<FrameVariable>> ReadFrameVariables(Session& session);
/// "@ rcx" or "@ 0x0000000e`12345670", as `dt` shows it.
std::string LocationText(Session& session, const FrameVariable& variable);
/// "@rcx" or "@rsp+0x0030", as `dv /V` shows it; empty if unavailable.
std::string RegisterLocationText(const FrameVariable& variable);

}  // namespace longwire
