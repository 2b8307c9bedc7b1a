#include "client/engine/disassembler_arm64.h"

#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <memory>

namespace longwire {
namespace {

struct DisposeDecoder {
  void operator()(void* decoder) const { LLVMDisasmDispose(decoder); }
};
using Decoder = std::unique_ptr<void, DisposeDecoder>;

Decoder MakeDecoder() {
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64Disassembler();
  // What machines that run Windows have by now: pointer authentication, atomics, branch targets.
  Decoder decoder(LLVMCreateDisasmCPUFeatures("aarch64-pc-windows-msvc", "generic", "+v8.6a", nullptr, 0,
                                              nullptr, nullptr));
  if (decoder) LLVMSetDisasmOptions(decoder.get(), LLVMDisassembler_Option_PrintImmHex);
  return decoder;
}

/// Sign-extended `bits` of the word from `low` on, as a distance in instructions.
std::int64_t Distance(std::uint32_t word, unsigned low, unsigned bits) {
  const auto shifted = static_cast<std::int64_t>(static_cast<std::uint64_t>(word >> low) << (64 - bits));
  return (shifted >> (64 - bits)) * 4;
}

/// Where a direct branch leads (A64 encodings of the Arm architecture manual, C4.1).
std::optional<std::uint64_t> BranchTarget(std::uint64_t address, std::uint32_t word) {
  std::int64_t distance = 0;
  if ((word & 0x7C000000) == 0x14000000) {
    distance = Distance(word, 0, 26);  // b, bl
  } else if ((word & 0xFF000010) == 0x54000000 || (word & 0x7E000000) == 0x34000000) {
    distance = Distance(word, 5, 19);  // b.cond; cbz, cbnz
  } else if ((word & 0x7E000000) == 0x36000000) {
    distance = Distance(word, 5, 14);  // tbz, tbnz
  } else {
    return std::nullopt;
  }
  return address + static_cast<std::uint64_t>(distance);
}

/// What `adr` and `adrp` compute.
std::optional<std::uint64_t> AddressOperand(std::uint64_t address, std::uint32_t word) {
  if ((word & 0x1F000000) != 0x10000000) return std::nullopt;
  const std::uint32_t bits = (word >> 5 & 0x7FFFF) << 2 | (word >> 29 & 3);
  const auto distance = static_cast<std::uint64_t>(Distance(bits, 0, 21) / 4);
  if (word >> 31 == 0) return address + distance;
  return (address & ~std::uint64_t{0xFFF}) + (distance << 12);
}

/// LLVM's spelling in the debugger's: fp and lr by name, no blanks behind commas.
std::string Respell(const std::string& operands) {
  std::string text, word;
  const auto flush = [&] {
    text += word == "x29" ? "fp" : word == "x30" ? "lr" : word;
    word.clear();
  };
  for (const char c : operands) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
      continue;
    }
    flush();
    if (c == ' ' && !text.empty() && text.back() == ',') continue;
    text += c;
  }
  flush();
  return text;
}

void Classify(std::uint32_t word, Instruction& instruction) {
  const std::uint32_t by_register = word & 0xFE9FF000;  // br, blr, ret, also with authentication
  const bool is_register_branch = by_register == 0xD61F0000 || by_register == 0xD69F0000;
  const std::uint32_t kind = word >> 21 & 3;
  instruction.is_call = (word & 0xFC000000) == 0x94000000 || ((word & 0xFE000000) == 0xD6000000 && kind == 1);
  instruction.is_return = (word & 0xFE000000) == 0xD6000000 && kind == 2 && (word >> 23 & 3) == 0;
  instruction.is_conditional = (word & 0xFF000010) == 0x54000000 || (word & 0x7C000000) == 0x34000000;
  instruction.is_branch =
      instruction.is_conditional || (word & 0xFC000000) == 0x14000000 || (is_register_branch && kind == 0);
}

}  // namespace

Instruction DisassembleArm64(std::uint64_t address, std::uint32_t word, const AddressNamer& namer) {
  static const Decoder decoder = MakeDecoder();
  Instruction instruction;
  instruction.address = address;
  instruction.length = 4;
  char digits[16];
  std::snprintf(digits, sizeof digits, "%08x", word);
  instruction.bytes = digits;
  std::array<std::uint8_t, 4> code{};
  for (unsigned i = 0; i < 4; ++i) code[i] = static_cast<std::uint8_t>(word >> (8 * i));
  std::array<char, 256> line{};
  if (!decoder || LLVMDisasmInstruction(decoder.get(), code.data(), code.size(), address, line.data(),
                                        line.size()) != code.size()) {
    instruction.mnemonic = ".inst";
    std::snprintf(digits, sizeof digits, "0x%08X", word);
    instruction.operands = digits;
    instruction.valid = false;
    return instruction;
  }
  const std::string text = line.data();
  const std::size_t begin = text.find_first_not_of('\t'), tab = text.find('\t', begin);
  instruction.mnemonic = text.substr(begin, tab - begin);
  if (tab != std::string::npos) instruction.operands = Respell(text.substr(tab + 1));
  Classify(word, instruction);
  const std::optional<std::uint64_t> branch = BranchTarget(address, word);
  instruction.branch_target = branch ? branch : AddressOperand(address, word);
  if (instruction.branch_target) {
    // The last operand is the place; LLVM prints its distance.
    const std::size_t comma = instruction.operands.rfind(',');
    const std::string name = namer ? namer(*instruction.branch_target) : std::string();
    instruction.operands = (comma == std::string::npos ? "" : instruction.operands.substr(0, comma + 1)) +
                           (name.empty() ? FormatAddress(*instruction.branch_target) : name);
  }
  return instruction;
}

}  // namespace longwire
