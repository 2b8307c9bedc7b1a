#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/engine/unwinder.h"

namespace longwire {

/// One instruction of an ARM64 prolog or epilog, to be undone (engine.md 8.2).
struct Arm64Operation {
  enum class Kind : std::uint8_t {
    kAllocate,
    kSave,
    kSetFrame,
    kAddFrame,
    kNothing,
    kStripLr,
    kMachineFrame,
    kUnknown
  };
  Kind kind = Kind::kNothing;
  std::uint32_t size = 0;             ///< bytes: allocated, or added to fp
  bool floating = false;              ///< d registers
  std::uint8_t first = 0, count = 0;  ///< registers saved from `first` on; `last` behind them
  std::optional<std::uint8_t> last;   ///< register saved behind the others, not their neighbour
  std::uint32_t offset = 0;           ///< of the first from sp
  std::uint32_t write_back = 0;       ///< what the store took off sp
  bool is_instruction = true;
};

/// How a function sets its frame up: the operations of its prolog in the order of undoing them, and its
/// epilogs.
struct Arm64Unwind {
  std::uint32_t length = 0;  ///< of the function, in bytes
  std::vector<Arm64Operation> prolog;
  bool has_prolog = true;  ///< false: a fragment that was entered behind it
  struct Epilog {
    std::uint32_t start = 0;  ///< in bytes from the function's begin
    std::vector<Arm64Operation> operations;
  };
  std::vector<Epilog> epilogs;
};

/// The second word of a .pdata entry whose flag is 1 or 2.
std::optional<Arm64Unwind> DecodePackedArm64(std::uint32_t word);
/// An .xdata record; `bytes` may be longer. nullopt: damaged, or of an unknown version.
std::optional<Arm64Unwind> DecodeArm64Unwind(std::span<const std::byte> bytes);

enum class Arm64Outcome : std::uint8_t {
  kUnwound,
  kLeaf,           ///< the tables have no entry here: the return address is in lr, if it was interrupted
  kMachineFrame,   ///< the caller was interrupted
  kNoInformation,  ///< nothing was changed: no entry, no unwind data, or one that cannot be undone here
  kUnreadable,     ///< the stack cannot be read; registers are meaningless
};
/// Undoes the frame at pc of `module`. `interrupted`: pc is not a return address.
Arm64Outcome UnwindArm64(const UnwindSource& source, const UnwindModule& module, bool interrupted,
                         RegisterSet& registers);

}  // namespace longwire
