#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "proto/kd/machine.h"

namespace longwire::kd {

/// A register inside a CONTEXT or KSPECIAL_REGISTERS record: lower-case name as a user types it.
struct RegisterField {
  std::string_view name;
  std::uint16_t offset = 0;
  std::uint8_t size = 0;  ///< 1, 2, 4, 8 or 16
};

/// Layout of the CONTEXT record of a machine (kd-protocol.md 5.9).
struct ContextLayout {
  std::uint16_t size = 0;
  std::uint16_t flags_offset = 0;
  std::uint32_t all_flags = 0;  ///< ContextFlags asking for everything
  std::uint16_t pc_offset = 0;
  std::uint16_t sp_offset = 0;
  std::uint16_t frame_offset = 0;   ///< Rbp, Ebp, X29
  std::uint16_t eflags_offset = 0;  ///< EFlags or Cpsr
  std::uint16_t dr0_offset = 0;     ///< 0: no such registers; Dr1-Dr3 follow
  std::uint16_t dr6_offset = 0;
  std::uint16_t dr7_offset = 0;
  std::uint8_t pointer_size = 8;
  std::uint8_t breakpoint_size = 1;  ///< bytes to skip over a hard-coded breakpoint instruction
  std::span<const RegisterField> registers;
};
/// A register of the machine's width at `offset` of a CONTEXT record, for example `layout.pc_offset`. The
/// record has at least `layout.size` bytes.
std::uint64_t LoadWord(const ContextLayout& layout, std::span<const std::byte> context, std::size_t offset);
/// nullptr for machines without a known layout.
const ContextLayout* FindContextLayout(Machine machine);
const RegisterField* FindContextRegister(Machine machine, std::string_view name);

/// Layout of the special registers as control space returns them (3.5, 5.10).
struct SpecialLayout {
  std::uint16_t size = 0;              ///< bytes common to all versions, to be asked for
  std::uint64_t control_selector = 0;  ///< where they are in control space: selector 2, x86 byte offset 2CC
  std::span<const RegisterField> registers;
};
const SpecialLayout* FindSpecialLayout(Machine machine);
const RegisterField* FindSpecialRegister(Machine machine, std::string_view name);

/// Whether `bytes` (from the program counter on) begin with the machine's breakpoint instruction.
bool IsBreakpointInstruction(Machine machine, std::span<const std::byte> bytes);

}  // namespace longwire::kd
