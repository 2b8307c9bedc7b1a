#pragma once

#include <array>
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
  RegisterSet registers;             ///< in this frame; volatile ones are those of the innermost frame
  std::uint64_t child_sp = 0;        ///< stack pointer of this frame
  std::uint64_t return_address = 0;  ///< 0 at the end of the stack
  bool trap_frame = false;  ///< trap handler: the processor pushed a machine frame on its entry, so its
                            ///< caller was interrupted (do not look the caller up with Rip-1)
  std::string warning;      ///< a line to print before this frame, usually empty
};

/// What the unwinder needs from an image around one address.
struct UnwindModule {
  std::uint64_t base = 0, size = 0;
};

/// Memory and module access of one walk. The x64 walk reads .pdata/.xdata through `read_image` (RVA reads:
/// image file first, target memory otherwise), stack and code through `read_memory`.
struct UnwindSource {
  std::function<std::optional<UnwindModule>(std::uint64_t address)> find_module;
  std::function<std::size_t(std::uint64_t module_base, std::uint32_t rva, std::span<std::byte> out)>
      read_image;
  std::function<std::size_t(std::uint64_t address, std::span<std::byte> out)> read_memory;
  /// Exception directory of a module: RVA and size of .pdata.
  std::function<std::optional<std::pair<std::uint32_t, std::uint32_t>>(std::uint64_t module_base)>
      exception_directory;
  /// x64, optional: the RUNTIME_FUNCTION (begin, end, unwind RVA) whose Begin is the last one at or below
  /// `rva`, as found next to the target. Asked before .pdata is searched through read_image; nullopt: not
  /// known here, search.
  std::function<std::optional<std::array<std::uint32_t, 3>>(std::uint64_t module_base, std::uint32_t rva)>
      find_function;
  /// Bytes of code with planted breakpoints taken out; may equal read_memory.
  std::function<std::size_t(std::uint64_t address, std::span<std::byte> out)> read_code;
  std::uint64_t stack_low = 0, stack_high = 0;  ///< known bounds, 0 if not known
  /// Optional. Runs once per frame of a known module before its unwind data is read, with the RVA to be
  /// looked up: the place to fetch what the frame needs in one round trip.
  std::function<void(std::uint64_t module_base, std::uint32_t rva)> prepare;
  /// Optional. True if the address lies on another stack of the machine (DPC, interrupt, double fault, NMI),
  /// to which a walk may cross.
  std::function<bool(std::uint64_t address)> on_other_stack;
};

inline constexpr const char* kNoUnwindInformation =
    "WARNING: Stack unwind information not available. Following frames may be wrong.";
inline constexpr const char* kNoModule =
    "WARNING: Frame IP not in any known module. Following frames may be wrong.";

/// Walks from `registers`; frame 0 is the current one. x64: by unwind data (engine.md 8.1). Never guesses: an
/// address without unwind data is a leaf only where section 8.1 says so. x86: WalkX86Frames. ARM64: by unwind
/// data (8.2), else by the chain of frame records, marked with a warning. Stops at `maximum` frames, at most
/// 1024.
std::vector<StackFrame> WalkStack(const RegisterSet& registers, const UnwindSource& source,
                                  std::size_t maximum = 1024);

/// The EBP chain (engine.md 8.3, orders 2 and 3 for a current instruction inside a standard prologue). Frame
/// 0 carries kNoUnwindInformation. child_sp is ChildEBP. Every return address must follow a call instruction.
std::vector<StackFrame> WalkX86Frames(const RegisterSet& registers, const UnwindSource& source,
                                      std::size_t maximum = 1024);

}  // namespace longwire
