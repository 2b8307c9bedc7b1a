#include "client/engine/unwind_epilog.h"

namespace longwire {
namespace {

constexpr std::size_t kMaximumPops = 16;

class EpilogReader {
 public:
  EpilogReader(std::span<const std::byte> code, std::uint64_t address) : code_(code), address_(address) {}

  // -1 behind the end: no byte of an epilog compares equal.
  int Byte(std::size_t ahead) const {
    return position_ + ahead < code_.size() ? std::to_integer<int>(code_[position_ + ahead]) : -1;
  }

  std::optional<std::int32_t> Signed(std::size_t ahead, std::size_t size) const {
    if (position_ + ahead + size > code_.size()) return std::nullopt;
    if (size == 1) return static_cast<std::int8_t>(Byte(ahead));
    std::uint32_t value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<std::uint32_t>(Byte(ahead + i));
    return static_cast<std::int32_t>(value);
  }

  void Skip(std::size_t count) { position_ += count; }
  std::uint64_t address() const { return address_ + position_; }

 private:
  std::span<const std::byte> code_;
  std::uint64_t address_;
  std::size_t position_ = 0;
};

// `add rsp, imm`. False: bytes missing.
bool ReadAdd(EpilogReader& code, EpilogEffect& effect, bool& found) {
  if (code.Byte(0) != 0x48 || (code.Byte(1) != 0x83 && code.Byte(1) != 0x81) || code.Byte(2) != 0xc4)
    return true;
  const std::size_t size = code.Byte(1) == 0x83 ? 1 : 4;
  const auto value = code.Signed(3, size);
  if (!value) return false;
  effect.adjustment = *value;
  code.Skip(3 + size);
  found = true;
  return true;
}

// `lea rsp, [frame register + disp]`.
bool ReadLea(EpilogReader& code, std::uint8_t frame_register, EpilogEffect& effect, bool& found) {
  if ((code.Byte(0) != 0x48 && code.Byte(0) != 0x49) || code.Byte(1) != 0x8d || frame_register == 0)
    return true;
  const int modrm = code.Byte(2);
  if (modrm < 0 || (modrm & 0x38) != 0x20 || modrm >> 6 == 3) return true;
  const unsigned base = static_cast<unsigned>((modrm & 7) | (code.Byte(0) & 1) << 3);
  if (base != frame_register) return true;
  // r12 needs a SIB byte; rbp and r13 have no form without displacement.
  const std::size_t sib = (modrm & 7) == 4 ? 1 : 0;
  if (sib && code.Byte(3) != 0x24) return true;
  const std::size_t size = modrm >> 6 == 1 ? 1 : modrm >> 6 == 2 ? 4 : 0;
  if (size == 0 && (modrm & 7) == 5) return true;
  if (size != 0) {
    const auto value = code.Signed(3 + sib, size);
    if (!value) return false;
    effect.adjustment = *value;
  }
  effect.frame_register = frame_register;
  code.Skip(3 + sib + size);
  found = true;
  return true;
}

bool ReadPop(EpilogReader& code, EpilogEffect& effect) {
  const std::size_t rex = code.Byte(0) == 0x41 ? 1 : 0;
  const int opcode = code.Byte(rex);
  if (opcode < 0x58 || opcode > 0x5f) return false;
  effect.popped.push_back(static_cast<std::uint8_t>((opcode - 0x58) | rex << 3));
  code.Skip(rex + 1);
  return true;
}

bool ReadEnd(EpilogReader& code, EpilogEffect& effect, bool stack_restored) {
  const int first = code.Byte(0);
  if (first == 0xc3 || (first == 0xf3 && code.Byte(1) == 0xc3)) return true;
  if (first == 0xc2) {
    if (code.Byte(1) < 0 || code.Byte(2) < 0) return false;
    effect.freed_arguments = static_cast<std::uint32_t>(code.Byte(1) | code.Byte(2) << 8);
    return true;
  }
  if (first == 0xeb || first == 0xe9) {
    const std::size_t size = first == 0xeb ? 1 : 4;
    const auto distance = code.Signed(1, size);
    if (!distance) return false;
    effect.jump_target = code.address() + 1 + size + static_cast<std::uint64_t>(std::int64_t{*distance});
    return true;
  }
  const std::size_t rex = (first & 0xf0) == 0x40 && first >= 0 ? 1 : 0;
  if (code.Byte(rex) != 0xff) return false;
  const int modrm = code.Byte(rex + 1);
  if (modrm < 0 || (modrm & 0x38) != 0x20) return false;
  // Compilers mark a tail call through a register with REX.W; `jmp [rip+d]` is an import.
  const bool marked = rex && (first & 8);
  return marked || modrm == 0x25 || stack_restored;
}

}  // namespace

std::optional<EpilogEffect> DecodeEpilog(std::span<const std::byte> code, std::uint64_t address,
                                         std::uint8_t frame_register, bool known) {
  EpilogReader reader(code, address);
  EpilogEffect effect;
  bool restored = false;
  if (!ReadAdd(reader, effect, restored)) return std::nullopt;
  if (!restored && !ReadLea(reader, frame_register, effect, restored)) return std::nullopt;
  while (ReadPop(reader, effect)) {
    restored = true;
    if (effect.popped.size() > kMaximumPops) return std::nullopt;
  }
  if (!ReadEnd(reader, effect, restored || known)) return std::nullopt;
  return effect;
}

}  // namespace longwire
