#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "client/commands/command.h"
#include "client/engine/machine.h"
#include "client/engine/report.h"
#include "client/engine/session.h"

namespace longwire {

/// Bits of the register output mask (engine.md 3.4).
inline constexpr std::uint32_t kIntegerMask = 0x3, kFloatMask = 0x4, kSegmentMask = 0x8, kDebugMask = 0x20,
                               kVectorMask = 0x40, kControlMask = 0x80, kDescriptorMask = 0x100;
struct RegisterMaskName {
  std::uint32_t bit;
  const char* text;
};
std::span<const RegisterMaskName> RegisterMaskNames();

/// The registers a mask asks for, a row of kind "registers" with all of them, then the current instruction
/// with the value of its memory operand. `.cxr`, `.trap` and `.frame /r` show the same.
Result<CommandFlow> ShowRegisters(Session& session, const RegisterSet& registers, std::uint32_t mask,
                                  Report& report);
inline Result<CommandFlow> ShowRegisters(Session& session, const RegisterSet& registers, Report& report) {
  return ShowRegisters(session, registers, session.pointer_size() == 8 ? 0xa : 0x9, report);
}

/// "rip", "eip", "pc".
const char* ProgramCounterName(Architecture architecture);
const char* StackPointerName(Architecture architecture);
/// Hexadecimal digits a register is shown with: those of its size.
unsigned RegisterDigits(Architecture architecture, std::string_view name);
/// A vector as `suffix` says ("ub", "4f", "2d", "uq"; default four floats), highest element first. kUsage.
Result<std::string> FormatVector(const std::array<std::byte, 16>& value, std::string_view suffix);

}  // namespace longwire
