#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "client/engine/machine.h"
#include "proto/error.h"

namespace longwire {

struct Instruction {
  std::uint64_t address = 0;
  unsigned length = 0;
  std::string bytes;                           ///< hexadecimal, without blanks
  std::string mnemonic, operands;              ///< Microsoft spelling: `18h`, `jne`, `qword ptr [..]`
  std::optional<std::uint64_t> branch_target;  ///< direct branch or call, or rip-relative operand
  bool is_call = false, is_branch = false, is_return = false, is_conditional = false;
  bool valid = true;  ///< false: `???`, length 1
};

/// Name of an address for operands, for example "nt!KeBugCheckEx (fffff804`7be0f4e1)"; empty: number only.
using AddressNamer = std::function<std::string(std::uint64_t)>;

/// Decodes one instruction: x86 and x64 in Microsoft's spelling, ARM64 in that of its architecture with fp
/// and lr by name. `code` are the bytes at `address` (15 are enough). Empty code gives kUnreadable.
Result<Instruction> Disassemble(Architecture architecture, std::uint64_t address,
                                std::span<const std::byte> code, const AddressNamer& namer);

/// The memory operand of one instruction with the registers before it runs.
struct MemoryOperand {
  std::string segment;         ///< "ds", "ss", "gs", ...
  std::uint16_t selector = 0;  ///< value of that segment register
  std::uint64_t address = 0;  ///< for fs and gs on x64 an offset: the base of the segment is not in a CONTEXT
  unsigned size = 0;          ///< bytes, 0 if the instruction gives none
  bool segment_relative = false;  ///< true: `address` is an offset in fs or gs
  bool is_read = false, is_written = false;
};

/// First memory operand of the instruction at `address`. nullopt: no memory operand (`lea` has none), bad
/// bytes, ARM64.
std::optional<MemoryOperand> EffectiveAddress(const RegisterSet& registers, std::uint64_t address,
                                              std::span<const std::byte> code);

/// Whether the conditional branch `mnemonic` ("jne") would be taken with these flags (`[br=1]` of the `r`
/// command). nullopt: not a conditional branch on flags.
std::optional<bool> BranchTaken(std::string_view mnemonic, const RegisterSet& registers);

}  // namespace longwire
