#include "client/engine/location_text.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>

namespace longwire {
namespace {

/// At least one blank behind it, however long it is.
std::string Padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

}  // namespace

Result<Instruction> InstructionAt(Session& session, std::uint64_t address) {
  std::array<std::byte, 16> code;
  Result<std::size_t> read = session.ReadCode(address, code);
  if (!read) return read.error();
  auto namer = [&](std::uint64_t target) {
    std::string name = session.NameOf(target);
    return name.empty() ? name : name + " (" + session.Address(target) + ")";
  };
  return Disassemble(session.architecture(), address, std::span(code).first(*read), namer);
}

std::string FormatInstruction(const Session& session, const Instruction& instruction) {
  std::string line = session.Address(instruction.address) + " ";
  line += session.architecture() == Architecture::kArm64 ? instruction.bytes + " "
                                                         : Padded(instruction.bytes, 16);
  if (instruction.operands.empty()) return line + instruction.mnemonic;
  return line + Padded(instruction.mnemonic, 8) + instruction.operands;
}

std::string FormatOperandValue(Session& session, const RegisterSet& registers,
                               const Instruction& instruction) {
  if (std::optional<bool> taken = BranchTaken(instruction.mnemonic, registers))
    return *taken ? " [br=1]" : " [br=0]";
  std::array<std::byte, 16> code;
  Result<std::size_t> read = session.ReadCode(instruction.address, code);
  if (!read) return "";
  std::optional<MemoryOperand> operand =
      EffectiveAddress(registers, instruction.address, std::span(code).first(*read));
  if (!operand) return "";
  char selector[16];
  std::snprintf(selector, sizeof selector, ":%04x:", operand->selector);
  std::string text = " " + operand->segment + selector + session.Address(operand->address);
  unsigned size = operand->size;
  if (operand->segment_relative || (size != 1 && size != 2 && size != 4 && size != 8)) return text;
  Result<std::uint64_t> value = session.ReadUnsigned(operand->address, size);
  char digits[24];
  if (!value) {
    std::snprintf(digits, sizeof digits, "=%s", std::string(size * 2, '?').c_str());
  } else {
    std::snprintf(digits, sizeof digits, "=%0*" PRIx64, static_cast<int>(size * 2), *value);
  }
  return text + digits;
}

std::string FormatLocation(Session& session, const RegisterSet& registers) {
  std::uint64_t address = registers.program_counter();
  std::string text;
  if (std::string name = session.NameOf(address); !name.empty()) text = name + ":\n";
  Result<Instruction> instruction = InstructionAt(session, address);
  if (!instruction) return text + session.Address(address) + " ??              ???\n";
  return text + FormatInstruction(session, *instruction) +
         FormatOperandValue(session, registers, *instruction) + "\n";
}

}  // namespace longwire
