#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/dump/kernel_dump.h"
#include "proto/kd/debugger_data.h"
#include "server/dump/dump_space.h"

namespace longwire {

/// The memory of a crashed machine as its dump holds it, and what is found through it: the debugger data, the
/// control blocks and registers of its processors (engine.md 1.10, 1.11).
class KernelSpace final : public DumpSpace {
 public:
  explicit KernelSpace(dump::KernelDump dump);

  kd::Machine machine() const override { return dump_.header().machine; }
  const std::string& kind() const override { return dump_.kind(); }
  const std::vector<std::string>& warnings() const override { return dump_.warnings(); }
  rpc::TargetDescription Describe() const override;
  std::uint32_t crashed() const override { return crashed_processor_; }
  std::uint32_t count() const override { return dump_.header().processors; }
  rpc::StopEvent Stop(std::uint32_t processor) const override;
  /// Of the fault for the processor that crashed, else what the processor saved.
  kd::Bytes Context(std::uint32_t processor) const override;
  kd::Bytes ControlSpace(std::uint32_t processor, std::uint64_t selector) const override;
  std::size_t ReadVirtual(std::uint64_t address, std::span<std::byte> out) const override;
  std::size_t ReadPhysical(std::uint64_t address, std::span<std::byte> out) const override {
    return dump_.ReadPhysical(address, out);
  }
  std::optional<kd::PagingMode> paging() const override { return paging_; }

 private:
  unsigned pointer_size() const { return kd::PointerSize(machine()); }
  std::uint64_t Pointer(std::uint64_t address) const;
  std::uint64_t Data(const char* field) const;  ///< of the debugger data; 0: absent
  kd::Bytes Read(std::uint64_t address, std::size_t size) const;
  std::uint64_t ControlBlock(std::uint32_t processor) const;  ///< KPRCB address, 0 if not known
  std::uint64_t Thread(std::uint32_t processor) const;        ///< KTHREAD address, 0 if not known
  std::uint64_t StackPointer(kd::ByteView context) const;
  kd::Bytes SpecialRegisters(std::uint32_t processor) const;
  kd::Bytes SavedContext(std::uint32_t processor) const;
  std::uint32_t FindCrashedProcessor() const;

  dump::KernelDump dump_;
  kd::PagingMode paging_ = kd::PagingMode::kX64FourLevel;
  std::optional<kd::DebuggerData> debugger_data_;  ///< none: the dump has none, or an encoded one
  std::uint32_t crashed_processor_ = 0;
};

}  // namespace longwire
