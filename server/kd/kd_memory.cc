#include "server/kd/kd_memory.h"

#include <algorithm>

namespace longwire {
namespace {

constexpr std::uint64_t kPage = 4096;

std::uint64_t ToPageEnd(std::uint64_t address) { return kPage - address % kPage; }

}  // namespace

Task<Result<MemorySource::Chunk>> KdMemory::ReadVirtual(std::uint16_t processor, std::uint64_t address,
                                                        std::uint32_t count) {
  Chunk chunk;
  bool page_bound = false;
  while (chunk.data.size() < count) {
    const std::uint64_t at = address + chunk.data.size();
    std::uint64_t want = count - chunk.data.size();
    if (page_bound) want = std::min(want, ToPageEnd(at));
    Result<kd::Bytes> reply = co_await line_.Exchange(kd::EncodeReadVirtual(
        processor, kd::ExtendAddress(facts_.machine, at), static_cast<std::uint32_t>(want)));
    if (!reply) co_return reply.error();
    const auto decoded = kd::DecodeReply(*reply);
    if (!decoded) co_return decoded.error();
    const kd::ReadResult read = kd::DecodeRead(*decoded, static_cast<std::uint32_t>(want));
    facts_.inconsistent_reply |= read.inconsistent;
    chunk.data.insert(chunk.data.end(), read.data.begin(), read.data.end());
    if (read.complete) continue;
    if (decoded->Succeeded() && !read.data.empty()) continue;  // clipped by the target: go on behind it (H42)
    // A request across pages may have failed as a whole because of its second page: ask again page by page.
    if (!page_bound && want > ToPageEnd(at) && read.data.size() < ToPageEnd(at)) {
      page_bound = true;
      continue;
    }
    chunk.ended = true;
    break;
  }
  co_return chunk;
}

Task<Result<MemorySource::Chunk>> KdMemory::ReadPhysical(std::uint16_t processor, std::uint64_t address,
                                                         std::uint32_t count, bool uncached) {
  Chunk chunk;
  const auto caching = uncached ? kd::Caching::kUncached : kd::Caching::kDefault;
  while (chunk.data.size() < count) {
    const std::uint64_t at = address + chunk.data.size();
    const auto want =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(count - chunk.data.size(), ToPageEnd(at)));
    Result<kd::Bytes> reply = co_await line_.Exchange(kd::EncodeReadPhysical(processor, at, want, caching));
    if (!reply) co_return reply.error();
    const auto decoded = kd::DecodeReply(*reply);
    if (!decoded) co_return decoded.error();
    const kd::ReadResult read = kd::DecodeRead(*decoded, want);
    facts_.inconsistent_reply |= read.inconsistent;
    chunk.data.insert(chunk.data.end(), read.data.begin(), read.data.end());
    if (read.complete || (decoded->Succeeded() && !read.data.empty())) continue;
    chunk.ended = true;
    break;
  }
  co_return chunk;
}

Task<Result<kd::PagingMode>> KdMemory::ReadPagingMode(std::uint16_t processor) {
  if (facts_.machine == kd::Machine::kArm64) co_return kd::PagingMode::kArm64;
  const kd::SpecialLayout* special = kd::FindSpecialLayout(facts_.machine);
  const kd::RegisterField* cr4 = kd::FindSpecialRegister(facts_.machine, "cr4");
  if (special == nullptr || cr4 == nullptr) {
    co_return Error{Errc::kUnsupported, "page tables of this machine type are not known"};
  }
  Result<kd::Bytes> reply = co_await line_.Exchange(
      kd::EncodeReadControlSpace(processor, special->control_selector, special->size));
  if (!reply) co_return reply.error();
  const auto decoded = kd::DecodeReply(*reply);
  if (!decoded) co_return decoded.error();
  const std::uint64_t value = kd::Load64(kd::DecodeRead(*decoded, special->size).data, cr4->offset);
  if (facts_.machine == kd::Machine::kAmd64) {
    co_return (value >> 12 & 1) != 0 ? kd::PagingMode::kX64FiveLevel : kd::PagingMode::kX64FourLevel;
  }
  co_return (value >> 5 & 1) != 0 ? kd::PagingMode::kX86Pae : kd::PagingMode::kX86Plain;
}

Task<Result<std::uint32_t>> KdMemory::Write(std::uint16_t processor, bool physical, std::uint64_t address,
                                            kd::Bytes data) {
  const std::size_t most = line_.timers().most_payload - kd::kManipulateSize;
  std::uint32_t done = 0;
  while (done < data.size()) {
    const auto part = kd::ByteView(data).subspan(done, std::min(most, data.size() - done));
    kd::Bytes request =
        physical ? kd::EncodeWritePhysical(processor, address + done, part)
                 : kd::EncodeWriteVirtual(processor, kd::ExtendAddress(facts_.machine, address + done), part);
    Result<kd::Bytes> reply = co_await line_.Exchange(std::move(request));
    if (!reply) co_return reply.error();
    const auto decoded = kd::DecodeReply(*reply);
    if (!decoded) co_return decoded.error();
    const std::uint32_t written = kd::DecodeWritten(*decoded, static_cast<std::uint32_t>(part.size()));
    done += written;
    if (written < part.size()) break;
  }
  co_return done;
}

std::optional<std::uint64_t> KdMemory::Found(const kd::ManipulateReply& reply) const {
  const std::optional<std::uint64_t> found = kd::DecodeFound(reply);
  return found ? std::optional(kd::PlainAddress(facts_.machine, *found)) : std::nullopt;
}

/// A failed search and a target that cannot search answer alike (kd-protocol.md 3.6), so ask for something
/// known.
Task<Result<bool>> KdMemory::Searches(std::uint64_t address, std::span<const std::byte> known) {
  if (facts_.search_works) co_return *facts_.search_works;
  kd::Bytes pattern(known.begin(), known.end());
  const std::uint64_t length = 2 * pattern.size();
  Result<kd::Bytes> reply = co_await line_.Exchange(
      kd::EncodeSearchMemory(kd::ExtendAddress(facts_.machine, address), length, pattern));
  if (!reply) co_return reply.error();
  const auto decoded = kd::DecodeReply(*reply);
  facts_.search_works = decoded && Found(*decoded) == address;
  co_return *facts_.search_works;
}

Task<Result<std::optional<std::uint64_t>>> KdMemory::Search(std::uint64_t start, std::uint64_t length,
                                                            std::span<const std::byte> pattern) {
  kd::Bytes copy(pattern.begin(), pattern.end());
  Result<kd::Bytes> reply =
      co_await line_.Exchange(kd::EncodeSearchMemory(kd::ExtendAddress(facts_.machine, start), length, copy));
  if (!reply) co_return reply.error();
  const auto decoded = kd::DecodeReply(*reply);
  if (!decoded) co_return decoded.error();
  co_return Found(*decoded);
}

}  // namespace longwire
