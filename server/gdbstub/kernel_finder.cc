#include "server/gdbstub/kernel_finder.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace longwire {
namespace {

constexpr std::uint64_t kPage = MemoryCache::kPageBytes;
/// 64 MiB below a hint: kernels are smaller.
constexpr std::size_t kMaxProbes = 16'384;
constexpr std::size_t kMaxSections = 96;
constexpr std::uint64_t kMaxImage = 256u << 20;
constexpr std::uint64_t kSelf = 0x18, kIdtBase = 0x38;  // of the x64 KPCR
constexpr std::uint32_t kExecutable = 0x20000000;

std::string Hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(value));
  return text;
}

bool InKernelHalf(std::uint64_t address) { return address >> 63 != 0; }

struct Section {
  std::uint64_t address = 0, size = 0;
  bool code = false;
};
struct Image {
  std::uint64_t base = 0, size = 0;
  std::vector<Section> sections;
};

Task<Result<kd::Bytes>> ReadBytes(TargetMemory& memory, std::uint64_t address, std::uint64_t size) {
  kd::Bytes bytes;
  Result<void> read = co_await memory.Read(AddressSpace::Virtual(), address, size, false, bytes);
  if (!read) co_return read.error();
  co_return bytes;
}

/// nullopt: `base` begins no image of this machine.
Task<Result<std::optional<Image>>> ReadImage(TargetMemory& memory, kd::Machine machine, std::uint64_t base) {
  const std::optional<Image> none;
  Result<kd::Bytes> head = co_await ReadBytes(memory, base, 0x40);
  if (!head) co_return head.error();
  if (head->size() < 0x40 || kd::Load16(*head, 0) != 0x5A4D) co_return none;
  const std::uint32_t offset = kd::Load32(*head, 0x3C);
  if (offset < 0x40 || offset > kPage - 0x108) co_return none;
  Result<kd::Bytes> page = co_await ReadBytes(memory, base, kPage);
  if (!page) co_return page.error();
  const std::uint16_t sections = kd::Load16(*page, offset + 6);
  if (page->size() < kPage || kd::Load32(*page, offset) != 0x4550 || sections > kMaxSections ||
      kd::Load16(*page, offset + 4) != static_cast<std::uint16_t>(machine)) {
    co_return none;
  }
  Image image{base, kd::Load32(*page, offset + 24 + 56), {}};
  if (image.size > kMaxImage) co_return none;
  const std::size_t table = offset + 24 + kd::Load16(*page, offset + 20);
  for (std::size_t i = 0; i < sections && table + (i + 1) * 40 <= page->size(); ++i) {
    const std::size_t at = table + i * 40;
    const std::uint64_t size = kd::Load32(*page, at + 8), start = kd::Load32(*page, at + 12);
    if (start > image.size || size > image.size - start) continue;
    image.sections.push_back({base + start, size, (kd::Load32(*page, at + 36) & kExecutable) != 0});
  }
  co_return std::optional<Image>(std::move(image));
}

/// The block whose KernBase is the image it lies in.
Task<Result<void>> FindDebuggerData(TargetMemory& memory, const Image& image, const WorkLimit& limit,
                                    KernelFindings& findings) {
  constexpr std::array<std::byte, 4> kTag{std::byte{'K'}, std::byte{'D'}, std::byte{'B'}, std::byte{'G'}};
  for (const Section& section : image.sections) {
    if (section.code) continue;
    const std::uint64_t end = section.address + section.size;
    for (std::uint64_t from = section.address; from < end && !limit.Over(memory.now());) {
      auto tag = co_await memory.Search(AddressSpace::Virtual(), from, end - from, kTag, limit);
      if (!tag) co_return tag.error();
      if (!*tag) break;
      from = **tag + 1;
      const std::uint64_t block = **tag - 0x10;
      Result<kd::Bytes> header = co_await ReadBytes(memory, block, 0x20);
      if (!header) co_return header.error();
      const auto size = kd::DebuggerData::ReadSize(*header);
      if (!size || kd::Load64(*header, kd::dd::kKernBase) != image.base) continue;
      Result<kd::Bytes> bytes = co_await ReadBytes(memory, block, *size);
      if (!bytes) co_return bytes.error();
      auto data = kd::DebuggerData::Parse(*bytes);
      if (!data) continue;
      findings.data = std::move(*data);
      findings.data_address = block;
      findings.data_list = kd::Load64(*header, 0);
      co_return Result<void>{};
    }
  }
  co_return Result<void>{};
}

/// The number that the build string begins with, `19041.1.amd64fre...`; 0: none.
Task<Result<std::uint16_t>> ReadBuild(TargetMemory& memory, const kd::DebuggerData& data) {
  const auto address = data.Get(kd::dd::kNtBuildLab, 8);
  if (!address || *address == 0) co_return std::uint16_t{0};
  Result<kd::Bytes> text = co_await ReadBytes(memory, *address, 6);
  if (!text) co_return text.error();
  std::uint32_t build = 0;
  for (const std::byte byte : *text) {
    const auto c = std::to_integer<unsigned>(byte);
    if (c < '0' || c > '9') break;
    build = build * 10 + (c - '0');
  }
  co_return build <= 0xFFFF ? static_cast<std::uint16_t>(build) : std::uint16_t{0};
}

/// Addresses inside the kernel: handlers of interrupts, and where the processor stands.
Task<Result<std::vector<std::uint64_t>>> Candidates(TargetMemory& memory, kd::Machine machine,
                                                    const KernelHints& hints) {
  std::vector<std::uint64_t> candidates;
  Result<std::uint64_t> region = co_await FindControlRegion(memory, machine, hints.control_regions);
  if (!region) co_return region.error();
  if (*region != 0) {
    Result<kd::Bytes> idt = co_await ReadBytes(memory, *region + kIdtBase, 8);
    if (!idt) co_return idt.error();
    Result<kd::Bytes> gates = co_await ReadBytes(memory, kd::Load64(*idt, 0), 16 * 16);
    if (!gates) co_return gates.error();
    for (const std::size_t vector : {3u, 14u}) {
      const std::size_t gate = 16 * vector;
      const std::uint64_t handler = std::uint64_t{kd::Load16(*gates, gate)} |
                                    std::uint64_t{kd::Load16(*gates, gate + 6)} << 16 |
                                    std::uint64_t{kd::Load32(*gates, gate + 8)} << 32;
      if (InKernelHalf(handler)) candidates.push_back(handler);
    }
  }
  if (InKernelHalf(hints.program_counter)) candidates.push_back(hints.program_counter);
  co_return candidates;
}

}  // namespace

Task<Result<std::uint64_t>> FindControlRegion(TargetMemory& memory, kd::Machine machine,
                                              std::vector<std::uint64_t> regions) {
  if (machine != kd::Machine::kAmd64) co_return std::uint64_t{0};
  for (const std::uint64_t region : regions) {
    if (!InKernelHalf(region)) continue;
    Result<kd::Bytes> self = co_await ReadBytes(memory, region + kSelf, 8);
    if (!self) co_return self.error();
    if (self->size() == 8 && kd::Load64(*self, 0) == region) co_return region;
  }
  co_return std::uint64_t{0};
}

Task<Result<KernelFindings>> FindKernel(TargetMemory& memory, kd::Machine machine, KernelHints hints,
                                        const WorkLimit& limit) {
  KernelFindings findings;
  if (machine != kd::Machine::kAmd64) {
    findings.text = "kernels of this machine type are not looked for: memory and registers work, lm does not";
    co_return findings;
  }
  auto candidates = co_await Candidates(memory, machine, hints);
  if (!candidates) co_return candidates.error();
  std::uint64_t lowest = hints.program_counter & ~(kPage - 1);
  for (const std::uint64_t candidate : *candidates) {
    std::uint64_t page = candidate & ~(kPage - 1);
    for (std::size_t probe = 0; probe < kMaxProbes && InKernelHalf(page); ++probe, page -= kPage) {
      if (limit.Over(memory.now())) break;
      auto image = co_await ReadImage(memory, machine, page);
      if (!image) co_return image.error();
      if (!*image || page + (*image)->size <= candidate) continue;
      Result<void> found = co_await FindDebuggerData(memory, **image, limit, findings);
      if (!found) co_return found.error();
      if (findings.base == 0 || findings.data) findings.base = page;
      if (findings.data) {
        Result<std::uint16_t> build = co_await ReadBuild(memory, *findings.data);
        if (!build) co_return build.error();
        findings.build = *build;
        co_return findings;
      }
      break;
    }
    lowest = std::min(lowest, page);
  }
  findings.text = findings.base != 0
                      ? "an image was found at " + Hex(findings.base) +
                            " but no debugger data block in it (a kernel that booted without debugging keeps "
                            "it encoded): memory and registers work, lm needs the block"
                      : "no Windows-shaped kernel was found above " + Hex(lowest) +
                            ": memory and registers work, lm needs one";
  co_return findings;
}

}  // namespace longwire
