#include "server/gdbstub/stub_memory.h"

#include <algorithm>

#include "proto/gdb/hex.h"

namespace longwire {
namespace {

constexpr std::uint64_t kPage = 4096;

std::uint64_t ToPageEnd(std::uint64_t address) { return kPage - address % kPage; }

}  // namespace

Task<Result<void>> StubMemory::Choose(std::uint16_t processor, bool physical) {
  Result<void> chosen = co_await registers_.Choose(processor);
  if (!chosen || in_physical_ == physical) co_return chosen;
  if (!offers_physical_) {
    co_return Error{Errc::kUnsupported, "this gdb stub offers no physical memory"};
  }
  Result<std::string> set = co_await line_.Ask(physical ? "Qqemu.PhyMemMode:1" : "Qqemu.PhyMemMode:0");
  if (!set) co_return set.error();
  if (*set != "OK") co_return Error{Errc::kTargetRefused, "the gdb stub refused to change its address space"};
  in_physical_ = physical;
  co_return Result<void>{};
}

/// A stub refuses a range with one absent page as a whole, so a refused range is asked for page by page.
Task<Result<StubMemory::Chunk>> StubMemory::ReadHere(std::uint64_t address, std::uint32_t count) {
  Chunk chunk;
  const std::uint64_t most = std::max<std::uint64_t>(packet_size_ / 2, 16);
  bool page_bound = false;
  while (chunk.data.size() < count) {
    const std::uint64_t at = address + chunk.data.size();
    std::uint64_t want = std::min<std::uint64_t>(count - chunk.data.size(), most);
    if (page_bound) want = std::min(want, ToPageEnd(at));
    Result<std::string> reply =
        co_await line_.Ask("m" + gdb::EncodeNumber(at) + "," + gdb::EncodeNumber(want));
    if (!reply) co_return reply.error();
    std::optional<kd::Bytes> bytes;
    if (!reply->starts_with('E') || reply->size() != 3) bytes = gdb::DecodeHex(*reply);
    if (bytes && !bytes->empty() && bytes->size() <= want) {
      chunk.data.insert(chunk.data.end(), bytes->begin(), bytes->end());
    } else if (!page_bound && want > ToPageEnd(at)) {
      page_bound = true;
    } else {
      chunk.ended = true;
      break;
    }
  }
  co_return chunk;
}

Task<Result<StubMemory::Chunk>> StubMemory::ReadVirtual(std::uint16_t processor, std::uint64_t address,
                                                        std::uint32_t count) {
  Result<void> chosen = co_await Choose(processor, false);
  if (!chosen) co_return chosen.error();
  co_return co_await ReadHere(address, count);
}

Task<Result<StubMemory::Chunk>> StubMemory::ReadPhysical(std::uint16_t processor, std::uint64_t address,
                                                         std::uint32_t count, bool) {
  Result<void> chosen = co_await Choose(processor, true);
  if (!chosen) co_return chosen.error();
  co_return co_await ReadHere(address, count);
}

Task<Result<std::uint32_t>> StubMemory::Write(std::uint16_t processor, bool physical, std::uint64_t address,
                                              kd::Bytes data) {
  Result<void> chosen = co_await Choose(processor, physical);
  if (!chosen) co_return chosen.error();
  const std::size_t most = std::max<std::size_t>(packet_size_ / 2, 64) - 32;
  std::uint32_t done = 0;
  while (done < data.size()) {
    const auto part = std::span(data).subspan(done, std::min(most, data.size() - done));
    Result<std::string> reply =
        co_await line_.Ask("M" + gdb::EncodeNumber(address + done) + "," + gdb::EncodeNumber(part.size()) +
                           ":" + gdb::EncodeHex(part));
    if (!reply) co_return reply.error();
    if (*reply != "OK") break;
    done += static_cast<std::uint32_t>(part.size());
  }
  registers_.Forget();
  co_return done;
}

Task<Result<kd::PagingMode>> StubMemory::ReadPagingMode(std::uint16_t processor) {
  if (machine() == kd::Machine::kArm64) co_return kd::PagingMode::kArm64;
  Result<std::optional<std::uint64_t>> cr4 = co_await registers_.Value(processor, "cr4");
  if (!cr4) co_return cr4.error();
  if (!*cr4) co_return Error{Errc::kUnsupported, "this gdb stub tells no control registers"};
  if (machine() == kd::Machine::kAmd64) {
    co_return (**cr4 >> 12 & 1) != 0 ? kd::PagingMode::kX64FiveLevel : kd::PagingMode::kX64FourLevel;
  }
  co_return (**cr4 >> 5 & 1) != 0 ? kd::PagingMode::kX86Pae : kd::PagingMode::kX86Plain;
}

Task<Result<bool>> StubMemory::Searches(std::uint64_t, std::span<const std::byte>) { co_return false; }

Task<Result<std::optional<std::uint64_t>>> StubMemory::Search(std::uint64_t, std::uint64_t,
                                                              std::span<const std::byte>) {
  co_return Error{Errc::kUnsupported, "this gdb stub does not search"};
}

}  // namespace longwire
