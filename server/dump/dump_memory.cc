#include "server/dump/dump_memory.h"

namespace longwire {

Task<Result<MemorySource::Chunk>> DumpMemory::ReadVirtual(std::uint16_t, std::uint64_t address,
                                                          std::uint32_t count) {
  co_await Rest{*this};
  kd::Bytes data(count);
  data.resize(space_.ReadVirtual(address, data));
  read_ += count;
  const bool ended = data.size() < count;
  co_return Chunk{std::move(data), ended};
}

Task<Result<MemorySource::Chunk>> DumpMemory::ReadPhysical(std::uint16_t, std::uint64_t address,
                                                           std::uint32_t count, bool) {
  co_await Rest{*this};
  kd::Bytes data(count);
  data.resize(space_.ReadPhysical(address, data));
  read_ += count;
  const bool ended = data.size() < count;
  co_return Chunk{std::move(data), ended};
}

Task<Result<std::uint32_t>> DumpMemory::Write(std::uint16_t, bool, std::uint64_t, kd::Bytes) {
  co_return Error{Errc::kUnsupported, "the target is a crash dump; its memory cannot be changed"};
}

Task<Result<kd::PagingMode>> DumpMemory::ReadPagingMode(std::uint16_t) {
  if (const auto paging = space_.paging()) co_return *paging;
  co_return Error{Errc::kUnsupported, "this dump holds no page tables"};
}

Task<Result<bool>> DumpMemory::Searches(std::uint64_t, std::span<const std::byte>) { co_return false; }

Task<Result<std::optional<std::uint64_t>>> DumpMemory::Search(std::uint64_t, std::uint64_t,
                                                              std::span<const std::byte>) {
  co_return Error{Errc::kUnsupported, "a dump does not search by itself"};
}

}  // namespace longwire
