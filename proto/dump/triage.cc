#include "proto/dump/triage.h"

#include <algorithm>

#include "proto/kd/debugger_data.h"
#include "proto/utf16.h"

namespace longwire::dump {
namespace {

using kd::ByteView;

constexpr std::uint32_t kValid = 0x44475254;  // "TRGD"
constexpr std::size_t kMaxDrivers = 4096, kMaxUnloaded = 256, kMaxBlocks = 1u << 20;
constexpr std::size_t kMaxText = 32u << 10;
constexpr std::size_t kMaxStructure = 1u << 20;  ///< of a KPRCB, KTHREAD, EPROCESS
constexpr std::size_t kDriverEntry = 0x90, kUnloadedEntry = 0x38, kBlockEntry = 0x10;

/// Offsets in TRIAGE_DUMP64, from 2000.
enum Field : std::size_t {
  kValidOffset = 0x08,
  kUnloadedOffset = 0x18,
  kPrcbOffset = 0x1C,
  kProcessOffset = 0x20,
  kThreadOffset = 0x24,
  kStackOffset = 0x28,
  kStackSize = 0x2C,
  kDriverOffset = 0x30,
  kDriverCount = 0x34,
  kTopOfStack = 0x48,
  kDataPageAddress = 0x60,
  kDataPageOffset = 0x68,
  kDataPageSize = 0x6C,
  kDebuggerDataOffset = 0x70,
  kDebuggerDataSize = 0x74,
  kBlocksOffset = 0x78,
  kBlocksCount = 0x7C,
};

std::string PoolString(const DumpFile& file, std::uint32_t offset) {
  const kd::Bytes length = file.ReadBytes(offset, 4);
  if (length.size() < 4) return {};
  const std::size_t bytes = std::min<std::size_t>(kd::Load32(length, 0), kMaxText / 2) * 2;
  return Utf8FromUtf16(file.ReadBytes(std::uint64_t{offset} + 4, bytes));
}

}  // namespace

Result<Triage> Triage::Read(const DumpFile& file, const KernelHeader& header) {
  const kd::Bytes bytes = file.ReadBytes(kHeader64Size, 0x80);
  const ByteView head(bytes);
  if (head.size() < 0x80)
    return Error{Errc::kMalformed, "the dump is cut inside its triage header; copy it again"};
  Triage triage;
  const kd::Bytes valid = file.ReadBytes(kd::Load32(head, kValidOffset), 4);
  if (valid.size() < 4 || kd::Load32(valid, 0) != kValid)
    triage.warnings_.push_back("the dump is cut: its end mark is missing, so are parts of it");
  triage.ReadBlocks(file, head);
  triage.stack_pointer_ = kd::Load64(head, kTopOfStack);
  triage.AddWindow(file, triage.stack_pointer_, kd::Load32(head, kStackOffset), kd::Load32(head, kStackSize),
                   "stack");
  triage.ReadStructures(file, head, header);
  triage.AddWindow(file, kd::Load64(head, kDataPageAddress), kd::Load32(head, kDataPageOffset),
                   kd::Load32(head, kDataPageSize), "data page");
  triage.ReadDrivers(file, head);
  triage.ReadUnloaded(file, head);
  std::sort(triage.windows_.begin(), triage.windows_.end(), [](const Window& a, const Window& b) {
    return a.address != b.address ? a.address < b.address : a.order < b.order;
  });
  return triage;
}

void Triage::AddWindow(const DumpFile& file, std::uint64_t address, std::uint64_t offset, std::uint64_t size,
                       const char* what) {
  if (address == 0 || size == 0) return;
  if (offset >= file.size() || size > ~std::uint32_t{0} || address + size < address) {
    warnings_.push_back(std::string("a ") + what + " of the dump lies outside of the file and is left out");
    return;
  }
  const auto kept = static_cast<std::uint32_t>(std::min(size, file.size() - offset));
  windows_.push_back({address, offset, kept, static_cast<unsigned>(windows_.size())});
  longest_window_ = std::max<std::uint64_t>(longest_window_, kept);
}

void Triage::ReadBlocks(const DumpFile& file, ByteView head) {
  std::size_t count = kd::Load32(head, kBlocksCount);
  const std::uint64_t offset = kd::Load32(head, kBlocksOffset);
  if (count > kMaxBlocks || !file.Holds(offset, count * kBlockEntry)) {
    warnings_.push_back("the dump's list of data blocks is damaged; memory beyond the stack is missing");
    return;
  }
  const kd::Bytes list = file.ReadBytes(offset, count * kBlockEntry);
  for (std::size_t at = 0; at + kBlockEntry <= list.size(); at += kBlockEntry)
    AddWindow(file, kd::Load64(list, at), kd::Load32(list, at + 8), kd::Load32(list, at + 12), "data block");
}

/// The structures of the crash stand in parts of their own; where they were in memory follows from the
/// pointers of one another.
void Triage::ReadStructures(const DumpFile& file, ByteView head, const KernelHeader& header) {
  const std::size_t size = kd::Load32(head, kDebuggerDataSize);
  const std::uint64_t offset = kd::Load32(head, kDebuggerDataOffset);
  const kd::Bytes block = size <= kd::kMaxDebuggerData ? file.ReadBytes(offset, size) : kd::Bytes();
  const Result<kd::DebuggerData> data = kd::DebuggerData::Parse(block);
  if (!data) {
    warnings_.push_back("the dump holds no debugger data; processors and processes cannot be shown");
    return;
  }
  debugger_data_ = block;
  AddWindow(file, header.debugger_data_address, offset, block.size(), "debugger data block");
  const auto value = [&](const char* name) { return data->Get(name).value_or(0); };
  const std::uint64_t sizes[] = {value("SizePrcb"), value("SizeEThread"), value("SizeEProcess")};
  for (const std::uint64_t each : sizes) {
    if (each == 0 || each > kMaxStructure) return;
  }
  const std::uint64_t prcb_offset = kd::Load32(head, kPrcbOffset);
  control_block_ = file.ReadBytes(prcb_offset, sizes[0]);
  const std::uint64_t number = kd::Load16(control_block_, value("OffsetPrcbNumber"));
  const std::uint64_t thread = kd::Load64(control_block_, value("OffsetPrcbCurrentThread"));
  std::byte pointer[8] = {};
  if (ReadVirtual(file, value("KiProcessorBlock") + 8 * number, pointer) == 8)
    AddWindow(file, kd::Load64(pointer, 0), prcb_offset, sizes[0], "processor block");
  const std::uint64_t thread_offset = kd::Load32(head, kThreadOffset);
  AddWindow(file, thread, thread_offset, sizes[1], "thread");
  const kd::Bytes thread_bytes = file.ReadBytes(thread_offset, sizes[1]);
  AddWindow(file, kd::Load64(thread_bytes, value("OffsetKThreadApcProcess")),
            kd::Load32(head, kProcessOffset), sizes[2], "process");
}

void Triage::ReadDrivers(const DumpFile& file, ByteView head) {
  const std::size_t count = kd::Load32(head, kDriverCount);
  const std::uint64_t offset = kd::Load32(head, kDriverOffset);
  if (count > kMaxDrivers || !file.Holds(offset, count * kDriverEntry)) {
    warnings_.push_back("the dump's list of drivers is damaged; no module is known");
    return;
  }
  const kd::Bytes list = file.ReadBytes(offset, count * kDriverEntry);
  for (std::size_t at = 0; at + kDriverEntry <= list.size(); at += kDriverEntry) {
    constexpr std::size_t kLoaderEntry = 8;
    DumpModule module;
    module.name = PoolString(file, kd::Load32(list, at));
    module.base = kd::Load64(list, at + kLoaderEntry + 0x30);
    module.size = kd::Load32(list, at + kLoaderEntry + 0x40);
    module.checksum = kd::Load32(list, at + kLoaderEntry + 0x78);
    module.timestamp = kd::Load32(list, at + kLoaderEntry + 0x80);
    if (module.base != 0 && module.size != 0) modules_.push_back(std::move(module));
  }
}

void Triage::ReadUnloaded(const DumpFile& file, ByteView head) {
  const std::uint64_t offset = kd::Load32(head, kUnloadedOffset);
  if (offset == 0) return;
  const kd::Bytes count_bytes = file.ReadBytes(offset, 4);
  const std::size_t count = std::min<std::size_t>(kd::Load32(count_bytes, 0), kMaxUnloaded);
  const kd::Bytes list = file.ReadBytes(offset + 8, count * kUnloadedEntry);
  for (std::size_t at = 0; at + kUnloadedEntry <= list.size(); at += kUnloadedEntry) {
    DumpModule module;
    const std::size_t length = std::min<std::size_t>(kd::Load16(list, at), 24);
    module.name = Utf8FromUtf16(ByteView(list).subspan(at + 0x10, length));
    module.base = kd::Load64(list, at + 0x28);
    module.size = static_cast<std::uint32_t>(kd::Load64(list, at + 0x30) - module.base);
    unloaded_.push_back(std::move(module));
  }
}

std::size_t Triage::ReadVirtual(const DumpFile& file, std::uint64_t address, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t at = address + done;
    // A window that holds `at` begins at most the longest window's length before it.
    const std::uint64_t earliest = at >= longest_window_ ? at - longest_window_ : 0;
    auto window = std::lower_bound(windows_.begin(), windows_.end(), earliest,
                                   [](const Window& a, std::uint64_t wanted) { return a.address < wanted; });
    const Window* best = nullptr;
    for (; window != windows_.end() && window->address <= at; ++window) {
      if (at - window->address < window->size && (best == nullptr || window->order < best->order))
        best = &*window;
    }
    if (best == nullptr) break;
    const std::uint64_t inside = at - best->address;
    const std::size_t wanted = std::min<std::size_t>(out.size() - done, best->size - inside);
    const std::size_t read = file.Read(best->offset + inside, out.subspan(done, wanted));
    done += read;
    if (read < wanted) break;
  }
  return done;
}

}  // namespace longwire::dump
