#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "client/engine/machine.h"
#include "proto/error.h"

namespace longwire {

struct Instruction {
  std::uint64_t address = 0;
  unsigned length = 0;
  std::string bytes;                              ///< hexadecimal, without blanks
  std::string mnemonic, operands;                 ///< Microsoft spelling: `18h`, `jne`, `qword ptr [..]`
  std::optional<std::uint64_t> branch_target;     ///< direct branch or call, or rip-relative operand
  bool is_call = false, is_branch = false, is_return = false, is_conditional = false;
  bool valid = true;                              ///< false: `???`, length 1
};

/// Name of an address for operands, for example "nt!KeBugCheckEx (fffff804`7be0f4e1)"; empty: number only.
using AddressNamer = std::function<std::string(std::uint64_t)>;

/// Decodes one instruction. `code` are the bytes at `address` (15 are enough). Empty code gives kUnreadable.
Result<Instruction> Disassemble(Architecture architecture, std::uint64_t address, std::span<const std::byte> code,
                                const AddressNamer& namer);

}  // namespace longwire
