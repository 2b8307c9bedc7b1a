#pragma once

#include <cstdint>

#include "client/engine/disassembler.h"

namespace longwire {

/// Disassemble() of one AArch64 instruction word, by LLVM's decoder. A word that is no instruction comes as
/// `.inst`, not valid, length 4.
Instruction DisassembleArm64(std::uint64_t address, std::uint32_t word, const AddressNamer& namer);

}  // namespace longwire
