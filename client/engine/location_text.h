#pragma once

#include <string>

#include "client/engine/disassembler.h"
#include "client/engine/machine.h"
#include "client/engine/session.h"

namespace longwire {

/// Instruction at an address, decoded with the session's names. kUnreadable.
Result<Instruction> InstructionAt(Session& session, std::uint64_t address);
/// "fffff804`8b58334c 43891401        mov     dword ptr [r9+r8],edx" (engine.md 3.4).
std::string FormatInstruction(const Session& session, const Instruction& instruction);
/// The effective address behind the line of the current instruction: "ds:002b:ffff9b00`0336004c=????????", or
/// " [br=1]".
std::string FormatOperandValue(Session& session, const RegisterSet& registers,
                               const Instruction& instruction);
/// "nt!Foo+0x4:" and the line of the instruction, each ended by a newline. What cannot be read shows as
/// `???`.
std::string FormatLocation(Session& session, const RegisterSet& registers);

}  // namespace longwire
