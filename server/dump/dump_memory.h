#pragma once

#include <coroutine>

#include "server/dump/dump_space.h"
#include "server/target/memory_source.h"

namespace longwire {

/// Memory of a dump for the readers of live targets. Long work rests now and then, so that one client's plan
/// does not keep the others of the process waiting: it goes on at Continue().
class DumpMemory final : public MemorySource {
 public:
  static constexpr std::size_t kBytesBetweenRests = 1u << 20;

  explicit DumpMemory(const DumpSpace& space) : space_(space) {}

  void SetNow(kd::TimePoint now) { now_ = now; }
  bool resting() const { return static_cast<bool>(rester_); }
  void Continue() {
    if (auto rester = std::exchange(rester_, {})) rester.resume();
  }

  bool sparse() const override { return true; }
  kd::TimePoint now() const override { return now_; }
  kd::Machine machine() const override { return space_.machine(); }
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
  struct Rest {
    DumpMemory& memory;
    bool await_ready() const noexcept { return memory.read_ < kBytesBetweenRests; }
    void await_suspend(std::coroutine_handle<> rester) noexcept {
      memory.read_ = 0;
      memory.rester_ = rester;
    }
    void await_resume() const noexcept {}
    ~Rest() { memory.rester_ = {}; }
  };

  const DumpSpace& space_;
  kd::TimePoint now_{};
  std::size_t read_ = 0;  ///< since the last rest
  std::coroutine_handle<> rester_;
};

}  // namespace longwire
