#pragma once

#include "server/kd/kd_line.h"
#include "server/kd/target_facts.h"
#include "server/target/memory_source.h"

namespace longwire {

/// Memory of a target that speaks KD.
class KdMemory final : public MemorySource {
 public:
  KdMemory(KdLine& line, TargetFacts& facts) : line_(line), facts_(facts) {}

  kd::TimePoint now() const override { return line_.now(); }
  kd::Machine machine() const override { return facts_.machine; }
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
  std::optional<std::uint64_t> Found(const kd::ManipulateReply& reply) const;

  KdLine& line_;
  TargetFacts& facts_;
};

}  // namespace longwire
