#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/engine/machine.h"
#include "proto/error.h"

namespace longwire {

struct StackFrame {
  RegisterSet registers;               ///< in this frame; volatile ones are those of the innermost frame
  std::uint64_t child_sp = 0;          ///< stack pointer of this frame
  std::uint64_t return_address = 0;    ///< 0 at the end of the stack
  bool trap_frame = false;             ///< entered by a machine frame
  std::string warning;                 ///< a line to print before this frame, usually empty
};

/// What the unwinder needs from an image around one address.
struct UnwindModule {
  std::uint64_t base = 0, size = 0;
};

/// Memory and module access of one walk. The x64 walk reads .pdata/.xdata through `read_image` (RVA reads: image file
/// first, target memory otherwise), stack and code through `read_memory`.
struct UnwindSource {
  std::function<std::optional<UnwindModule>(std::uint64_t address)> find_module;
  std::function<std::size_t(std::uint64_t module_base, std::uint32_t rva, std::span<std::byte> out)> read_image;
  std::function<std::size_t(std::uint64_t address, std::span<std::byte> out)> read_memory;
  /// Exception directory of a module: RVA and size of .pdata.
  std::function<std::optional<std::pair<std::uint32_t, std::uint32_t>>(std::uint64_t module_base)> exception_directory;
  /// Bytes of code with planted breakpoints taken out; may equal read_memory.
  std::function<std::size_t(std::uint64_t address, std::span<std::byte> out)> read_code;
  std::uint64_t stack_low = 0, stack_high = 0;  ///< known bounds, 0 if not known
};

/// Walks from `registers` (engine.md 8.1); frame 0 is the current one. Never guesses: an address without unwind data is
/// a leaf only where section 8.1 says so. Stops at `maximum` frames.
std::vector<StackFrame> WalkStack(const RegisterSet& registers, const UnwindSource& source, std::size_t maximum = 1024);

}  // namespace longwire
