#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace longwire {

/// What the rest of an x64 epilog does, read from its instructions (engine.md 8.1, step 2).
struct EpilogEffect {
  std::uint8_t frame_register = 0;  ///< not 0: rsp is taken from this register first
  std::int64_t adjustment = 0;      ///< then added to rsp
  std::vector<std::uint8_t> popped;
  std::uint32_t freed_arguments = 0;         ///< `ret imm16`
  std::optional<std::uint64_t> jump_target;  ///< direct jump: an epilog only if it leaves the function
};

/// Code bytes that the longest accepted epilog takes.
inline constexpr std::size_t kEpilogCodeSize = 64;

/// nullopt: `code` at `address` is not (the rest of) an epilog, or is cut short. `known` says that the
/// address is known to lie in one, which accepts an indirect jump without REX.W alone; elsewhere that may be
/// a switch table.
std::optional<EpilogEffect> DecodeEpilog(std::span<const std::byte> code, std::uint64_t address,
                                         std::uint8_t frame_register, bool known);

}  // namespace longwire
