#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/dump/kernel_header.h"
#include "proto/dump/memory_windows.h"

namespace longwire::dump {

/// What a dump says of a loaded or unloaded image.
struct DumpModule {
  std::string name;  ///< UTF-8, as the dump spells it
  std::uint64_t base = 0;
  std::uint32_t size = 0, checksum = 0, timestamp = 0;
};

/// Contents of a triage ("small memory") dump, engine.md 1.7 and 1.8: windows of virtual memory and lists.
class Triage {
 public:
  /// Errors: kMalformed when its own header lies; a part that is damaged is left out and named in warnings().
  static Result<Triage> Read(const DumpFile& file, const KernelHeader& header);

  /// Reads the readable prefix of [address, address + out.size()) from the dump's windows.
  std::size_t ReadVirtual(const DumpFile& file, std::uint64_t address, std::span<std::byte> out) const {
    return windows_.Read(file, address, out);
  }

  const std::vector<DumpModule>& modules() const { return modules_; }
  const std::vector<DumpModule>& unloaded() const { return unloaded_; }
  std::uint64_t stack_pointer() const { return stack_pointer_; }  ///< of the crashing processor
  kd::ByteView debugger_data() const { return debugger_data_; }   ///< KDDEBUGGER_DATA64, empty if absent
  kd::ByteView control_block() const { return control_block_; }   ///< KPRCB of the crashing processor
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Layout;
  static const Layout& LayoutOf(kd::Machine machine);
  std::uint64_t Pointer(kd::ByteView bytes, std::size_t offset) const;

  void AddWindow(const DumpFile& file, std::uint64_t address, std::uint64_t offset, std::uint64_t size,
                 const char* what);
  void ReadBlocks(const DumpFile& file, kd::ByteView head);
  void ReadDrivers(const DumpFile& file, kd::ByteView head);
  void ReadUnloaded(const DumpFile& file, kd::ByteView head);
  void ReadStructures(const DumpFile& file, kd::ByteView head, const KernelHeader& header);

  const Layout* layout_ = nullptr;
  MemoryWindows windows_;
  std::vector<DumpModule> modules_, unloaded_;
  std::uint64_t stack_pointer_ = 0;
  kd::Bytes debugger_data_, control_block_;
  std::vector<std::string> warnings_;
};

}  // namespace longwire::dump
