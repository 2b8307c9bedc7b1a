#pragma once

#include <string>
#include <vector>

#include "server/gdbstub/stub_registers.h"
#include "server/target/memory_source.h"

namespace longwire {

/// Memory through a gdb stub: `m` and `M`, virtual as the chosen processor sees it; physical where the stub
/// has QEMU's `Qqemu.PhyMemMode`, else kUnsupported.
class StubMemory final : public MemorySource {
 public:
  StubMemory(GdbLine& line, StubRegisters& registers) : line_(line), registers_(registers) {}

  void Configure(std::size_t packet_size, bool physical) {
    packet_size_ = packet_size;
    offers_physical_ = physical;
    in_physical_ = false;
  }

  kd::TimePoint now() const override { return line_.now(); }
  kd::Machine machine() const override { return registers_.machine(); }
  Task<Result<Chunk>> ReadVirtual(std::uint16_t processor, std::uint64_t address,
                                  std::uint32_t count) override;
  Task<Result<Chunk>> ReadPhysical(std::uint16_t processor, std::uint64_t address, std::uint32_t count,
                                   bool uncached) override;
  Task<Result<std::uint32_t>> Write(std::uint16_t processor, bool physical, std::uint64_t address,
                                    kd::Bytes data) override;
  Task<Result<kd::PagingMode>> ReadPagingMode(std::uint16_t processor) override;
  Task<Result<bool>> Searches(std::uint64_t address, std::span<const std::byte> known) override;
  Task<Result<std::optional<std::uint64_t>>> Search(std::uint64_t start, std::uint64_t length,
                                                    std::span<const std::byte> pattern) override;

 private:
  Task<Result<void>> Choose(std::uint16_t processor, bool physical);
  Task<Result<Chunk>> ReadHere(std::uint64_t address, std::uint32_t count);

  GdbLine& line_;
  StubRegisters& registers_;
  std::size_t packet_size_ = 1024;
  bool offers_physical_ = false, in_physical_ = false;
};

}  // namespace longwire
