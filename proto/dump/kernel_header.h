#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/dump/dump_file.h"
#include "proto/error.h"
#include "proto/kd/machine.h"

namespace longwire::dump {

inline constexpr std::uint64_t kHeader64Size = 0x2000, kHeader32Size = 0x1000;

/// Header of a kernel dump (engine.md 1.2, 1.8). What the writer left unset is absent or 0; addresses of a
/// 32-bit machine have 32 bits.
struct KernelHeader {
  std::uint64_t payload = kHeader64Size;  ///< where in the file the header ends
  bool pae = false;                       ///< of an x86 machine: page tables have three levels
  std::uint32_t major = 0;                ///< F free build, C checked build
  std::uint32_t build = 0;
  kd::Machine machine = kd::Machine::kUnknown;
  std::uint32_t processors = 1;
  std::uint64_t directory_table_base = 0;  ///< page-table base of the crashing context, low 12 bits clear
  std::uint64_t loaded_module_list = 0, active_process_head = 0;
  std::uint64_t debugger_data_address = 0;

  std::uint32_t bugcheck_code = 0;  ///< without the bit that marks triage variants
  std::array<std::uint64_t, 4> bugcheck_parameters{};

  kd::Bytes context;  ///< CONTEXT record of the fault
  struct Exception {
    std::uint32_t code = 0, flags = 0;
    std::uint64_t record = 0, address = 0;
    std::vector<std::uint64_t> parameters;
  } exception;

  struct Run {
    std::uint64_t first_page = 0, pages = 0;
  };
  std::vector<Run> runs;  ///< physical memory; empty in triage dumps

  std::uint32_t type = 0;         ///< DumpType (engine.md 1.3)
  std::uint64_t system_time = 0;  ///< FILETIME
  std::uint64_t up_time = 0;      ///< units of 100 ns
  std::uint32_t product_type = 0, suite_mask = 0;
  std::uint32_t writer_status = 0;  ///< 0: complete
  std::uint8_t secondary_version = 0;
  std::string comment;
};

/// Errors: kMalformed (not a dump, or cut inside the header), kUnsupported (a dump of another kind, named).
Result<KernelHeader> ReadKernelHeader(const DumpFile& file);

}  // namespace longwire::dump
