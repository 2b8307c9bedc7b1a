#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proto/dump/kernel_dump.h"
#include "proto/kd/debugger_data.h"
#include "proto/kd/translation.h"

namespace longwire {

/// The memory of a crashed machine as its dump holds it, and what is found through it: the debugger data, the
/// control blocks and registers of its processors (engine.md 1.10, 1.11). Reads nothing but what is asked
/// for.
class DumpSpace {
 public:
  explicit DumpSpace(dump::KernelDump dump);

  const dump::KernelDump& dump() const { return dump_; }
  kd::PagingMode paging() const { return paging_; }

  /// The readable prefix of a range; in the address space of the crash for virtual addresses.
  std::size_t ReadVirtual(std::uint64_t address, std::span<std::byte> out) const;
  std::size_t ReadPhysical(std::uint64_t address, std::span<std::byte> out) const {
    return dump_.ReadPhysical(address, out);
  }

  /// Null when the dump has none, or an encoded one.
  const kd::DebuggerData* debugger_data() const { return debugger_data_ ? &*debugger_data_ : nullptr; }
  std::uint32_t crashed_processor() const { return crashed_processor_; }
  std::uint64_t control_block(std::uint32_t processor) const;  ///< KPRCB address, 0 if not known
  std::uint64_t thread(std::uint32_t processor) const;         ///< KTHREAD address, 0 if not known
  /// CONTEXT: of the fault for the processor that crashed, else what the processor saved. Empty if not saved.
  kd::Bytes Context(std::uint32_t processor) const;
  /// Control space as kd-protocol.md 3.5; empty for what the dump does not have.
  kd::Bytes ControlSpace(std::uint32_t processor, std::uint64_t selector) const;

 private:
  std::uint64_t Pointer(std::uint64_t address) const;
  std::uint64_t Data(const char* field) const;
  kd::Bytes Read(std::uint64_t address, std::size_t size) const;
  kd::Bytes SavedContext(std::uint32_t processor) const;
  std::uint32_t FindCrashedProcessor() const;

  dump::KernelDump dump_;
  kd::PagingMode paging_ = kd::PagingMode::kX64FourLevel;
  std::optional<kd::DebuggerData> debugger_data_;
  std::uint32_t crashed_processor_ = 0;
};

/// Opens the file of a dump and reads its header. Errors name the file.
Result<DumpSpace> OpenDump(const std::string& path);

}  // namespace longwire
