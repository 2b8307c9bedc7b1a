#include "client/engine/disassembler.h"

#include <Zydis/Zydis.h>

#include <array>
#include <cstdio>
#include <map>

#include "client/engine/disassembler_arm64.h"

namespace longwire {
namespace {

constexpr std::size_t kMaximumInstruction = ZYDIS_MAX_INSTRUCTION_LENGTH;

struct DecodedInstruction {
  ZydisDecodedInstruction head{};
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands{};
};

bool Decode(Architecture architecture, std::span<const std::byte> code, DecodedInstruction& decoded) {
  ZydisDecoder decoder;
  const bool wide = architecture == Architecture::kAmd64;
  ZydisDecoderInit(&decoder, wide ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                   wide ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
  return ZYAN_SUCCESS(
      ZydisDecoderDecodeFull(&decoder, code.data(), code.size(), &decoded.head, decoded.operands.data()));
}

// `8`, `18h`, `0FFh`.
std::string HexNumber(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%llX", static_cast<unsigned long long>(value));
  std::string result = text;
  if (value < 10) return result;
  if (result[0] > '9') result.insert(0, "0");
  return result + 'h';
}

std::uint64_t Truncate(std::uint64_t value, unsigned bits) {
  return bits >= 64 || bits == 0 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

bool IsStringInstruction(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_MOVSB:
    case ZYDIS_MNEMONIC_MOVSW:
    case ZYDIS_MNEMONIC_MOVSQ:
    case ZYDIS_MNEMONIC_STOSB:
    case ZYDIS_MNEMONIC_STOSW:
    case ZYDIS_MNEMONIC_STOSD:
    case ZYDIS_MNEMONIC_STOSQ:
    case ZYDIS_MNEMONIC_LODSB:
    case ZYDIS_MNEMONIC_LODSW:
    case ZYDIS_MNEMONIC_LODSD:
    case ZYDIS_MNEMONIC_LODSQ:
    case ZYDIS_MNEMONIC_SCASB:
    case ZYDIS_MNEMONIC_SCASW:
    case ZYDIS_MNEMONIC_SCASD:
    case ZYDIS_MNEMONIC_SCASQ:
    case ZYDIS_MNEMONIC_CMPSB:
    case ZYDIS_MNEMONIC_CMPSW:
    case ZYDIS_MNEMONIC_CMPSQ:
    case ZYDIS_MNEMONIC_INSB:
    case ZYDIS_MNEMONIC_INSW:
    case ZYDIS_MNEMONIC_INSD:
    case ZYDIS_MNEMONIC_OUTSB:
    case ZYDIS_MNEMONIC_OUTSW:
    case ZYDIS_MNEMONIC_OUTSD: return true;
    default: return false;
  }
}

// movsd and cmpsd name a string and an SSE instruction; the string one has no explicit operands.
bool IsStringForm(const DecodedInstruction& decoded) {
  const ZydisMnemonic mnemonic = decoded.head.mnemonic;
  if (mnemonic == ZYDIS_MNEMONIC_MOVSD || mnemonic == ZYDIS_MNEMONIC_CMPSD) {
    return decoded.head.meta.category == ZYDIS_CATEGORY_STRINGOP;
  }
  return IsStringInstruction(mnemonic);
}

// Spellings where the Microsoft and the Zydis tables differ.
std::string BaseMnemonic(const DecodedInstruction& decoded) {
  static const std::map<std::string, std::string, std::less<>> kConditions = {
      {"z", "e"}, {"nz", "ne"}, {"nb", "ae"}, {"nbe", "a"}, {"nl", "ge"}, {"nle", "g"}};
  std::string name = ZydisMnemonicGetString(decoded.head.mnemonic);
  if (IsStringForm(decoded)) return name.substr(0, name.size() - 1);
  if (name == "int3") return "int";
  for (const std::string_view family : {"cmov", "set", "j"}) {
    if (!name.starts_with(family)) continue;
    const auto found = kConditions.find(std::string_view(name).substr(family.size()));
    if (found != kConditions.end()) return std::string(family) + found->second;
  }
  return name;
}

std::string Prefix(const ZydisDecodedInstruction& head) {
  if (head.attributes & ZYDIS_ATTRIB_HAS_LOCK) return "lock ";
  if (head.attributes & ZYDIS_ATTRIB_HAS_REP) return "rep ";
  if (head.attributes & ZYDIS_ATTRIB_HAS_REPE) return "repe ";
  if (head.attributes & ZYDIS_ATTRIB_HAS_REPNE) return "repne ";
  if (head.mnemonic == ZYDIS_MNEMONIC_RET) {
    for (unsigned i = 0; i < head.raw.prefix_count; ++i) {
      if (head.raw.prefixes[i].value == 0xf3) return "rep ";
    }
  }
  return {};
}

std::string RegisterName(ZydisRegister reg) {
  if (reg >= ZYDIS_REGISTER_ST0 && reg <= ZYDIS_REGISTER_ST7) {
    return "st(" + std::to_string(reg - ZYDIS_REGISTER_ST0) + ")";
  }
  const char* name = ZydisRegisterGetString(reg);
  return name ? name : "?";
}

std::string SizeName(const DecodedInstruction& decoded, const ZydisDecodedOperand& operand) {
  if (operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN || decoded.head.meta.category == ZYDIS_CATEGORY_PREFETCH ||
      decoded.head.mnemonic == ZYDIS_MNEMONIC_INVLPG) {
    return {};
  }
  switch (operand.size) {
    case 8: return "byte ptr ";
    case 16: return "word ptr ";
    case 32: return "dword ptr ";
    case 48: return "fword ptr ";
    case 64:
      // Packed and scalar floating-point operands of 64 bits have a name of their own.
      return operand.element_type == ZYDIS_ELEMENT_TYPE_FLOAT64 &&
                     decoded.head.meta.category != ZYDIS_CATEGORY_X87_ALU
                 ? "mmword ptr "
                 : "qword ptr ";
    case 80: return "tbyte ptr ";
    case 128: return "xmmword ptr ";
    case 256: return "ymmword ptr ";
    case 512: return "zmmword ptr ";
    default: return {};
  }
}

// The segments of an access without an override are not printed, except the fixed es: of 32-bit string
// instructions.
std::string SegmentPrefix(Architecture architecture, const DecodedInstruction& decoded,
                          ZydisRegister segment) {
  if (segment == ZYDIS_REGISTER_FS) return "fs:";
  if (segment == ZYDIS_REGISTER_GS) return "gs:";
  if (architecture != Architecture::kX86) return {};
  if (segment == ZYDIS_REGISTER_ES) return "es:";
  if (segment == ZYDIS_REGISTER_CS && decoded.head.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_CS) return "cs:";
  if (segment == ZYDIS_REGISTER_SS && decoded.head.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_SS) return "ss:";
  if (segment == ZYDIS_REGISTER_DS && decoded.head.attributes & ZYDIS_ATTRIB_HAS_SEGMENT_DS) return "ds:";
  return {};
}

class OperandWriter {
 public:
  OperandWriter(Architecture architecture, std::uint64_t address, const DecodedInstruction& decoded,
                const AddressNamer& namer)
      : architecture_(architecture), address_(address), decoded_(decoded), namer_(namer) {}

  /// All operands; sets `target` to a direct branch target or the address of a rip-relative operand.
  std::string Write(std::optional<std::uint64_t>& target) {
    std::string text;
    const bool string_form = IsStringForm(decoded_);
    for (unsigned i = 0; i < decoded_.head.operand_count; ++i) {
      const ZydisDecodedOperand& operand = decoded_.operands[i];
      // String instructions hide what the Microsoft spelling shows: their memory operands and the port.
      const bool shown = string_form ? operand.type == ZYDIS_OPERAND_TYPE_MEMORY || IsPort(operand)
                                     : operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;
      if (!shown) continue;
      if (!text.empty()) text += ',';
      text += Operand(operand, target);
      if (i == 0) text += Mask();
      // The register operand of a long nop is an artifact of its encoding.
      if (decoded_.head.mnemonic == ZYDIS_MNEMONIC_NOP) break;
    }
    if (decoded_.head.mnemonic == ZYDIS_MNEMONIC_INT3) return "3";
    return text;
  }

 private:
  bool IsPort(const ZydisDecodedOperand& operand) const {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.reg.value == ZYDIS_REGISTER_DX;
  }

  std::string Mask() const {
    std::string text;
    const auto& mask = decoded_.head.avx.mask;
    if (mask.reg != ZYDIS_REGISTER_NONE && mask.reg != ZYDIS_REGISTER_K0)
      text += "{" + RegisterName(mask.reg) + "}";
    if (mask.mode == ZYDIS_MASK_MODE_ZEROING || mask.mode == ZYDIS_MASK_MODE_CONTROL_ZEROING) text += "{z}";
    return text;
  }

  std::string Named(std::uint64_t address) const {
    std::string name = namer_ ? namer_(address) : std::string();
    return name.empty() ? FormatAddress(address, PointerSize(architecture_)) : name;
  }

  std::string Operand(const ZydisDecodedOperand& operand, std::optional<std::uint64_t>& target) const {
    switch (operand.type) {
      case ZYDIS_OPERAND_TYPE_REGISTER: return RegisterName(operand.reg.value);
      case ZYDIS_OPERAND_TYPE_MEMORY: return Memory(operand, target);
      case ZYDIS_OPERAND_TYPE_IMMEDIATE: return Immediate(operand, target);
      case ZYDIS_OPERAND_TYPE_POINTER: {
        char text[32];
        std::snprintf(text, sizeof text, "%04x:%08x", operand.ptr.segment, operand.ptr.offset);
        return text;
      }
      default: return {};
    }
  }

  std::string Immediate(const ZydisDecodedOperand& operand, std::optional<std::uint64_t>& target) const {
    if (operand.imm.is_relative) {
      std::uint64_t absolute = 0;
      ZydisCalcAbsoluteAddress(&decoded_.head, &operand, address_, &absolute);
      target = absolute;
      return Named(absolute);
    }
    if (!operand.imm.is_signed) return HexNumber(operand.imm.value.u);
    const ZydisDecodedOperand& first = decoded_.operands[0];
    const unsigned width =
        first.type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? decoded_.head.operand_width : first.size;
    return HexNumber(Truncate(static_cast<std::uint64_t>(operand.imm.value.s), width));
  }

  std::string Memory(const ZydisDecodedOperand& operand, std::optional<std::uint64_t>& target) const {
    const auto& memory = operand.mem;
    const std::string head = SizeName(decoded_, operand);
    const std::string segment = SegmentPrefix(architecture_, decoded_, memory.segment);
    const auto displacement = static_cast<std::uint64_t>(memory.disp.value);
    if (memory.base == ZYDIS_REGISTER_RIP || memory.base == ZYDIS_REGISTER_EIP) {
      std::uint64_t absolute = 0;
      ZydisCalcAbsoluteAddress(&decoded_.head, &operand, address_, &absolute);
      target = absolute;
      return head + segment + "[" + Named(absolute) + "]";
    }
    if (memory.base == ZYDIS_REGISTER_NONE && memory.index == ZYDIS_REGISTER_NONE) {
      const std::uint64_t absolute = Truncate(displacement, decoded_.head.address_width);
      if (!segment.empty()) return head + segment + "[" + HexNumber(absolute) + "]";
      target = absolute;
      const std::string name = namer_ ? namer_(absolute) : std::string();
      if (!name.empty()) return head + "[" + name + "]";
      return head + (architecture_ == Architecture::kX86 ? "ds:" : "") + "[" + HexNumber(absolute) + "]";
    }
    return head + segment + "[" + Sum(operand) + "]";
  }

  std::string Sum(const ZydisDecodedOperand& operand) const {
    const auto& memory = operand.mem;
    std::string text;
    if (memory.base != ZYDIS_REGISTER_NONE) text = RegisterName(memory.base);
    if (memory.index != ZYDIS_REGISTER_NONE) {
      if (!text.empty()) text += '+';
      text += RegisterName(memory.index);
      if (memory.scale > 1) text += '*' + std::to_string(memory.scale);
    }
    const std::int64_t displacement = memory.disp.value;
    if (!memory.disp.has_displacement || displacement == 0) return text;
    // In 32-bit code a large negative displacement is the address of a table.
    constexpr std::int64_t kLargestNegativeOffset = -0x100000;
    if (displacement < 0 && (architecture_ != Architecture::kX86 || displacement > kLargestNegativeOffset)) {
      return text + '-' + HexNumber(0 - static_cast<std::uint64_t>(displacement));
    }
    return text + '+' +
           HexNumber(Truncate(static_cast<std::uint64_t>(displacement), PointerSize(architecture_) * 8));
  }

  Architecture architecture_;
  std::uint64_t address_;
  const DecodedInstruction& decoded_;
  const AddressNamer& namer_;
};

std::string HexBytes(std::span<const std::byte> bytes) {
  std::string text;
  char digits[4];
  for (const std::byte byte : bytes) {
    std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(byte));
    text += digits;
  }
  return text;
}

Instruction InvalidInstruction(std::uint64_t address, std::span<const std::byte> code) {
  Instruction instruction;
  instruction.address = address;
  instruction.length = 1;
  instruction.bytes = HexBytes(code.first(1));
  instruction.mnemonic = "???";
  instruction.valid = false;
  return instruction;
}

Result<Instruction> Arm64Word(std::uint64_t address, std::span<const std::byte> code,
                              const AddressNamer& namer) {
  if (code.size() < 4) return Error{Errc::kUnreadable, "Memory access error", address};
  std::uint32_t word = 0;
  for (unsigned i = 4; i-- > 0;) word = word << 8 | std::to_integer<std::uint32_t>(code[i]);
  return DisassembleArm64(address, word, namer);
}

std::uint64_t RegisterValue(const RegisterSet& registers, ZydisRegister reg) {
  return reg == ZYDIS_REGISTER_NONE ? 0 : registers.Get(RegisterName(reg)).value_or(0);
}

}  // namespace

Result<Instruction> Disassemble(Architecture architecture, std::uint64_t address,
                                std::span<const std::byte> code, const AddressNamer& namer) {
  if (code.empty()) return Error{Errc::kUnreadable, "Memory access error", address};
  if (architecture == Architecture::kArm64) return Arm64Word(address, code, namer);
  DecodedInstruction decoded;
  code = code.first(std::min(code.size(), kMaximumInstruction));
  if (!Decode(architecture, code, decoded)) return InvalidInstruction(address, code);
  Instruction instruction;
  instruction.address = address;
  instruction.length = decoded.head.length;
  instruction.bytes = HexBytes(code.first(decoded.head.length));
  instruction.mnemonic = Prefix(decoded.head) + BaseMnemonic(decoded);
  instruction.operands =
      OperandWriter(architecture, address, decoded, namer).Write(instruction.branch_target);
  const ZydisInstructionCategory category = decoded.head.meta.category;
  instruction.is_call = category == ZYDIS_CATEGORY_CALL;
  instruction.is_return = category == ZYDIS_CATEGORY_RET;
  instruction.is_conditional = category == ZYDIS_CATEGORY_COND_BR;
  instruction.is_branch = instruction.is_conditional || category == ZYDIS_CATEGORY_UNCOND_BR;
  return instruction;
}

std::optional<MemoryOperand> EffectiveAddress(const RegisterSet& registers, std::uint64_t address,
                                              std::span<const std::byte> code) {
  if (code.empty() || registers.architecture() == Architecture::kArm64) return std::nullopt;
  DecodedInstruction decoded;
  if (!Decode(registers.architecture(), code.first(std::min(code.size(), kMaximumInstruction)), decoded)) {
    return std::nullopt;
  }
  for (unsigned i = 0; i < decoded.head.operand_count; ++i) {
    const ZydisDecodedOperand& operand = decoded.operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type != ZYDIS_MEMOP_TYPE_MEM) continue;
    // Pushes and calls touch the stack by a hidden operand, which users do not count.
    if (operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && !IsStringForm(decoded)) continue;
    MemoryOperand memory;
    if (operand.mem.base == ZYDIS_REGISTER_RIP || operand.mem.base == ZYDIS_REGISTER_EIP) {
      memory.address = address + decoded.head.length + static_cast<std::uint64_t>(operand.mem.disp.value);
    } else {
      memory.address = RegisterValue(registers, operand.mem.base) +
                       RegisterValue(registers, operand.mem.index) * operand.mem.scale +
                       static_cast<std::uint64_t>(operand.mem.disp.value);
    }
    memory.address = Truncate(memory.address, decoded.head.address_width);
    memory.segment = RegisterName(operand.mem.segment);
    memory.selector = static_cast<std::uint16_t>(RegisterValue(registers, operand.mem.segment));
    memory.segment_relative =
        operand.mem.segment == ZYDIS_REGISTER_FS || operand.mem.segment == ZYDIS_REGISTER_GS;
    memory.size = operand.size / 8;
    memory.is_read = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    memory.is_written = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    return memory;
  }
  return std::nullopt;
}

std::optional<bool> BranchTaken(std::string_view mnemonic, const RegisterSet& registers) {
  const std::optional<std::uint64_t> flags = registers.Get("efl");
  if (!flags || registers.architecture() == Architecture::kArm64 || !mnemonic.starts_with("j"))
    return std::nullopt;
  const bool carry = *flags & 1, parity = *flags >> 2 & 1, zero = *flags >> 6 & 1, sign = *flags >> 7 & 1;
  const bool overflow = *flags >> 11 & 1;
  const std::map<std::string_view, bool> outcomes = {{"jo", overflow},
                                                     {"jno", !overflow},
                                                     {"jb", carry},
                                                     {"jae", !carry},
                                                     {"je", zero},
                                                     {"jne", !zero},
                                                     {"jbe", carry || zero},
                                                     {"ja", !carry && !zero},
                                                     {"js", sign},
                                                     {"jns", !sign},
                                                     {"jp", parity},
                                                     {"jnp", !parity},
                                                     {"jl", sign != overflow},
                                                     {"jge", sign == overflow},
                                                     {"jle", zero || sign != overflow},
                                                     {"jg", !zero && sign == overflow}};
  const auto found = outcomes.find(mnemonic);
  if (found == outcomes.end()) return std::nullopt;
  return found->second;
}

}  // namespace longwire
