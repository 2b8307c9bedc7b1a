#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longwire {

enum class Architecture : std::uint8_t { kAmd64, kX86, kArm64 };

std::optional<Architecture> ArchitectureOf(std::uint16_t pe_machine);
unsigned PointerSize(Architecture architecture);

/// A CONTEXT record as named registers. Sub-registers (eax, al, r8d) and flags (zf, iopl) are views of the
/// whole ones.
class RegisterSet {
 public:
  RegisterSet() = default;
  /// `context` is a CONTEXT record of the architecture; shorter records leave registers absent.
  RegisterSet(Architecture architecture, std::vector<std::byte> context);

  Architecture architecture() const { return architecture_; }
  bool empty() const { return context_.empty(); }
  /// Name without `@`, any case. nullopt: no such register, or not in this record.
  std::optional<std::uint64_t> Get(std::string_view name) const;
  /// Writes the low bits of `value`; a 32-bit part of a 64-bit register clears the high half, as the
  /// processor does. False: no such register, or not in this record.
  bool Set(std::string_view name, std::uint64_t value);
  std::uint64_t program_counter() const;
  std::uint64_t stack_pointer() const;
  std::uint64_t frame_pointer() const;
  std::span<const std::byte> context() const { return context_; }
  /// 128-bit vector register, or an 80-bit st0-st7 in the low ten bytes, if the record holds it. Get()
  /// refuses these.
  std::optional<std::array<std::byte, 16>> GetVector(std::string_view name) const;
  bool SetVector(std::string_view name, const std::array<std::byte, 16>& value);

 private:
  Architecture architecture_ = Architecture::kAmd64;
  std::vector<std::byte> context_;
};

/// True if `name` names a register of the architecture (for the evaluator, before a value is needed). Also
/// true for the kernel's control registers, which no CONTEXT holds.
bool IsRegisterName(Architecture architecture, std::string_view name);

/// An address as the target's machine writes it: the sign extension that expressions give to 32-bit numbers
/// (engine.md 2.2) is taken out. Modules, registers and memory of 32-bit targets are known by these.
std::uint64_t PlainAddress(Architecture architecture, std::uint64_t address);

/// `hhhhhhhh`llllllll` for 64-bit targets, 8 digits for 32-bit ones (engine.md 2.12).
std::string FormatAddress(std::uint64_t address, unsigned pointer_size = 8);

}  // namespace longwire
