#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proto/kd/debugger_data.h"
#include "server/target/target_memory.h"

namespace longwire {

/// What points into a kernel, read from one processor.
struct KernelHints {
  std::uint64_t program_counter = 0;
  std::vector<std::uint64_t> control_regions;  ///< GS bases: one may be the KPCR
};

/// What was found of a Windows-shaped kernel, and in `text` what was not.
struct KernelFindings {
  std::uint64_t base = 0;
  std::optional<kd::DebuggerData> data;
  std::uint64_t data_address = 0, data_list = 0;
  std::uint16_t build = 0;
  std::string text;
};

/// Looks for the kernel's image below the handlers of the processor's interrupts and its program counter, and
/// for the debugger data block (kd-protocol.md 5.2) in its sections. Bounded by 64 MiB below a hint and by
/// `limit`; not finding is no error, those are of the line.
Task<Result<KernelFindings>> FindKernel(TargetMemory& memory, kd::Machine machine, KernelHints hints,
                                        const WorkLimit& limit);

/// The processor's KPCR among `regions`: the one whose Self field names it (5.3). 0: none.
Task<Result<std::uint64_t>> FindControlRegion(TargetMemory& memory, kd::Machine machine,
                                              std::vector<std::uint64_t> regions);

}  // namespace longwire
