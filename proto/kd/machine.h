#pragma once

#include <cstdint>

namespace longwire::kd {

/// Machine type as GetVersion reports it (kd-protocol.md 3.4). Pointer size follows from it, never from the
/// PTR64 flag.
enum class Machine : std::uint16_t {
  kUnknown = 0,
  kX86 = 0x014C,
  kArm = 0x01C4,
  kAmd64 = 0x8664,
  kArm64 = 0xAA64,
};

constexpr unsigned PointerSize(Machine machine) {
  return machine == Machine::kX86 || machine == Machine::kArm ? 4 : 8;
}

/// Sign-extends an address of a 32-bit target as the protocol wants it (quirk Q22); 64-bit targets:
/// unchanged.
constexpr std::uint64_t ExtendAddress(Machine machine, std::uint64_t address) {
  if (PointerSize(machine) == 8) return address;
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int32_t>(address)));
}

/// The opposite: the address as the machine itself writes it. Everything above the codecs works with these; a
/// number that is no sign-extended 32-bit address stays as it is.
constexpr std::uint64_t PlainAddress(Machine machine, std::uint64_t address) {
  if (PointerSize(machine) == 8 || address < 0xFFFF'FFFF'8000'0000) return address;
  return address & 0xFFFF'FFFF;
}

}  // namespace longwire::kd
