#include <algorithm>
#include <array>

#include "client/engine/unwinder.h"

namespace longwire {
namespace {

constexpr std::size_t kMaximumFrames = 1024;

std::size_t ReadCode(const UnwindSource& source, std::uint64_t address, std::span<std::byte> out) {
  return source.read_code ? source.read_code(address, out) : source.read_memory(address, out);
}

std::optional<std::uint32_t> Load32(const UnwindSource& source, std::uint64_t address) {
  std::byte bytes[4];
  if (source.read_memory(address & 0xffffffff, bytes) != sizeof bytes) return std::nullopt;
  std::uint32_t value = 0;
  for (unsigned i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

// `call rel32` five bytes before, or one of the FF /2 forms of two to seven bytes.
bool FollowsCall(const UnwindSource& source, std::uint32_t address) {
  std::array<std::byte, 7> bytes{};
  if (address < bytes.size() || ReadCode(source, address - bytes.size(), bytes) != bytes.size()) return false;
  if (bytes[2] == std::byte{0xe8}) return true;
  for (std::size_t length = 2; length <= 7; ++length) {
    const std::size_t at = bytes.size() - length;
    if (bytes[at] == std::byte{0xff} && (bytes[at + 1] & std::byte{0x38}) == std::byte{0x10}) return true;
  }
  return false;
}

// Where the return address lies while the frame is not set up or already gone; nullopt: [ebp+4].
std::optional<std::uint32_t> ReturnSlotOutsideFrame(const UnwindSource& source, std::uint32_t eip,
                                                    std::uint32_t esp) {
  std::array<std::byte, 5> code{};
  const std::size_t got = ReadCode(source, eip, code);
  const auto is = [&](std::size_t at, unsigned value) { return at < got && code[at] == std::byte(value); };
  if (is(0, 0xc3) || is(0, 0xc2)) return esp;
  if (is(0, 0x55) && is(1, 0x8b) && is(2, 0xec)) return esp;
  if (is(0, 0x8b) && is(1, 0xff) && is(2, 0x55) && is(3, 0x8b) && is(4, 0xec)) return esp;
  std::byte previous{};
  if (is(0, 0x8b) && is(1, 0xec) && ReadCode(source, eip - 1, std::span(&previous, 1)) == 1 &&
      previous == std::byte{0x55}) {
    return esp + 4;
  }
  return std::nullopt;
}

}  // namespace

std::vector<StackFrame> WalkX86Frames(const RegisterSet& start, const UnwindSource& source,
                                      std::size_t maximum) {
  std::vector<StackFrame> frames;
  RegisterSet registers = start;
  const bool bounded = source.stack_low < source.stack_high;
  while (frames.size() < std::min(maximum, kMaximumFrames) && registers.program_counter() != 0) {
    const auto eip = static_cast<std::uint32_t>(registers.program_counter());
    const auto esp = static_cast<std::uint32_t>(registers.stack_pointer());
    const auto ebp = static_cast<std::uint32_t>(registers.frame_pointer());
    frames.push_back({registers, ebp, 0, false, frames.empty() ? kNoUnwindInformation : ""});
    std::optional<std::uint32_t> slot;
    if (frames.size() == 1) slot = ReturnSlotOutsideFrame(source, eip, esp);
    const bool uses_frame = !slot;
    if (uses_frame) slot = ebp + 4;
    if (*slot < esp || (bounded && (*slot < source.stack_low || *slot >= source.stack_high))) break;
    const auto return_address = Load32(source, *slot);
    if (!return_address) break;
    if (*return_address != 0 && !FollowsCall(source, *return_address)) break;
    frames.back().return_address = *return_address;
    if (uses_frame) {
      const auto caller_ebp = Load32(source, ebp);
      if (!caller_ebp) break;
      registers.Set("ebp", *caller_ebp);
    } else {
      // ChildEBP of a frame that is not set up is where its saved ebp would lie.
      frames.back().child_sp = *slot - 4;
      // Behind `push ebp` the register still holds the caller's value.
    }
    registers.Set("esp", std::uint64_t{*slot} + 4);
    registers.Set("eip", *return_address);
  }
  return frames;
}

}  // namespace longwire
