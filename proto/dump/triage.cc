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

/// Offsets in TRIAGE_DUMP64, from the header's end; they are the same in the 32-bit form up to the first
/// pointer.
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
};
constexpr std::size_t kHeadBytes = 0x80;

std::string PoolString(const DumpFile& file, std::uint32_t offset) {
  const kd::Bytes length = file.ReadBytes(offset, 4);
  if (length.size() < 4) return {};
  const std::size_t bytes = std::min<std::size_t>(kd::Load32(length, 0), kMaxText / 2) * 2;
  return Utf8FromUtf16(file.ReadBytes(std::uint64_t{offset} + 4, bytes));
}

}  // namespace

/// What differs between the two widths: the fields behind the first pointer, and the entries of the lists.
struct Triage::Layout {
  std::size_t pointer;
  std::size_t page_address, page_offset, page_size, data_offset, data_size, blocks_offset, blocks_count;
  std::size_t block_entry;
  std::size_t driver_entry, loader_entry, base, size, checksum, timestamp;
  std::size_t unloaded_first, unloaded_entry, unloaded_name, unloaded_start, unloaded_end;
};

const Triage::Layout& Triage::LayoutOf(kd::Machine machine) {
  static constexpr Layout kWide = {.pointer = 8,
                                   .page_address = 0x60,
                                   .page_offset = 0x68,
                                   .page_size = 0x6C,
                                   .data_offset = 0x70,
                                   .data_size = 0x74,
                                   .blocks_offset = 0x78,
                                   .blocks_count = 0x7C,
                                   .block_entry = 0x10,
                                   .driver_entry = 0x90,
                                   .loader_entry = 8,
                                   .base = 0x30,
                                   .size = 0x40,
                                   .checksum = 0x78,
                                   .timestamp = 0x80,
                                   .unloaded_first = 8,
                                   .unloaded_entry = 0x38,
                                   .unloaded_name = 0x10,
                                   .unloaded_start = 0x28,
                                   .unloaded_end = 0x30};
  static constexpr Layout kNarrow = {.pointer = 4,
                                     .page_address = 0x4C,
                                     .page_offset = 0x50,
                                     .page_size = 0x54,
                                     .data_offset = 0x58,
                                     .data_size = 0x5C,
                                     .blocks_offset = 0x60,
                                     .blocks_count = 0x64,
                                     .block_entry = 0xC,
                                     .driver_entry = 0x4C,
                                     .loader_entry = 4,
                                     .base = 0x18,
                                     .size = 0x20,
                                     .checksum = 0x40,
                                     .timestamp = 0x44,
                                     .unloaded_first = 4,
                                     .unloaded_entry = 0x28,
                                     .unloaded_name = 8,
                                     .unloaded_start = 0x20,
                                     .unloaded_end = 0x24};
  return kd::PointerSize(machine) == 8 ? kWide : kNarrow;
}

std::uint64_t Triage::Pointer(ByteView bytes, std::size_t offset) const {
  return layout_->pointer == 8 ? kd::Load64(bytes, offset) : kd::Load32(bytes, offset);
}

Result<Triage> Triage::Read(const DumpFile& file, const KernelHeader& header) {
  const kd::Bytes bytes = file.ReadBytes(header.payload, kHeadBytes);
  const ByteView head(bytes);
  if (head.size() < kHeadBytes)
    return Error{Errc::kMalformed, "the dump is cut inside its triage header; copy it again"};
  Triage triage;
  triage.layout_ = &LayoutOf(header.machine);
  const Layout& layout = *triage.layout_;
  const kd::Bytes valid = file.ReadBytes(kd::Load32(head, kValidOffset), 4);
  if (valid.size() < 4 || kd::Load32(valid, 0) != kValid)
    triage.warnings_.push_back("the dump is cut: its end mark is missing, so are parts of it");
  triage.ReadBlocks(file, head);
  triage.stack_pointer_ = triage.Pointer(head, kTopOfStack);
  triage.AddWindow(file, triage.stack_pointer_, kd::Load32(head, kStackOffset), kd::Load32(head, kStackSize),
                   "stack");
  triage.windows_.Seal();
  triage.ReadStructures(file, head, header);
  triage.AddWindow(file, triage.Pointer(head, layout.page_address), kd::Load32(head, layout.page_offset),
                   kd::Load32(head, layout.page_size), "data page");
  triage.ReadDrivers(file, head);
  triage.ReadUnloaded(file, head);
  triage.windows_.Seal();
  return triage;
}

void Triage::AddWindow(const DumpFile& file, std::uint64_t address, std::uint64_t offset, std::uint64_t size,
                       const char* what) {
  if (address == 0 || size == 0 || windows_.Add(file, address, offset, size)) return;
  warnings_.push_back(std::string("a ") + what + " of the dump lies outside of the file and is left out");
}

void Triage::ReadBlocks(const DumpFile& file, ByteView head) {
  std::size_t count = kd::Load32(head, layout_->blocks_count);
  const std::uint64_t offset = kd::Load32(head, layout_->blocks_offset);
  const std::size_t entry = layout_->block_entry, pointer = layout_->pointer;
  if (count > kMaxBlocks || !file.Holds(offset, count * entry)) {
    warnings_.push_back("the dump's list of data blocks is damaged; memory beyond the stack is missing");
    return;
  }
  const kd::Bytes list = file.ReadBytes(offset, count * entry);
  for (std::size_t at = 0; at + entry <= list.size(); at += entry)
    AddWindow(file, Pointer(list, at), kd::Load32(list, at + pointer), kd::Load32(list, at + pointer + 4),
              "data block");
}

/// The structures of the crash stand in parts of their own; where they were in memory follows from the
/// pointers of one another.
void Triage::ReadStructures(const DumpFile& file, ByteView head, const KernelHeader& header) {
  const std::size_t size = kd::Load32(head, layout_->data_size);
  const std::uint64_t offset = kd::Load32(head, layout_->data_offset);
  const kd::Bytes block = size <= kd::kMaxDebuggerData ? file.ReadBytes(offset, size) : kd::Bytes();
  const Result<kd::DebuggerData> data = kd::DebuggerData::Parse(block);
  if (!data) {
    warnings_.push_back("the dump holds no debugger data; processors and processes cannot be shown");
    return;
  }
  debugger_data_ = block;
  AddWindow(file, header.debugger_data_address, offset, block.size(), "debugger data block");
  const auto value = [&](const char* name) {
    return kd::PlainAddress(header.machine, data->Get(name).value_or(0));
  };
  const std::uint64_t sizes[] = {value("SizePrcb"), value("SizeEThread"), value("SizeEProcess")};
  for (const std::uint64_t each : sizes) {
    if (each == 0 || each > kMaxStructure) return;
  }
  const std::uint64_t prcb_offset = kd::Load32(head, kPrcbOffset);
  control_block_ = file.ReadBytes(prcb_offset, sizes[0]);
  const std::uint64_t number = kd::Load16(control_block_, value("OffsetPrcbNumber"));
  const std::uint64_t thread = Pointer(control_block_, value("OffsetPrcbCurrentThread"));
  std::byte bytes[8] = {};
  const std::span pointer = std::span(bytes).first(layout_->pointer);
  if (ReadVirtual(file, value("KiProcessorBlock") + pointer.size() * number, pointer) == pointer.size())
    AddWindow(file, Pointer(bytes, 0), prcb_offset, sizes[0], "processor block");
  const std::uint64_t thread_offset = kd::Load32(head, kThreadOffset);
  AddWindow(file, thread, thread_offset, sizes[1], "thread");
  const kd::Bytes thread_bytes = file.ReadBytes(thread_offset, sizes[1]);
  AddWindow(file, Pointer(thread_bytes, value("OffsetKThreadApcProcess")), kd::Load32(head, kProcessOffset),
            sizes[2], "process");
}

void Triage::ReadDrivers(const DumpFile& file, ByteView head) {
  const std::size_t count = kd::Load32(head, kDriverCount);
  const std::uint64_t offset = kd::Load32(head, kDriverOffset);
  const Layout& layout = *layout_;
  if (count > kMaxDrivers || !file.Holds(offset, count * layout.driver_entry)) {
    warnings_.push_back("the dump's list of drivers is damaged; no module is known");
    return;
  }
  const kd::Bytes list = file.ReadBytes(offset, count * layout.driver_entry);
  for (std::size_t at = 0; at + layout.driver_entry <= list.size(); at += layout.driver_entry) {
    const std::size_t entry = at + layout.loader_entry;
    DumpModule module;
    module.name = PoolString(file, kd::Load32(list, at));
    module.base = Pointer(list, entry + layout.base);
    module.size = kd::Load32(list, entry + layout.size);
    module.checksum = kd::Load32(list, entry + layout.checksum);
    module.timestamp = kd::Load32(list, entry + layout.timestamp);
    if (module.base != 0 && module.size != 0) modules_.push_back(std::move(module));
  }
}

void Triage::ReadUnloaded(const DumpFile& file, ByteView head) {
  const std::uint64_t offset = kd::Load32(head, kUnloadedOffset);
  if (offset == 0) return;
  const Layout& layout = *layout_;
  const kd::Bytes count_bytes = file.ReadBytes(offset, 4);
  const std::size_t count = std::min<std::size_t>(kd::Load32(count_bytes, 0), kMaxUnloaded);
  const kd::Bytes list = file.ReadBytes(offset + layout.unloaded_first, count * layout.unloaded_entry);
  for (std::size_t at = 0; at + layout.unloaded_entry <= list.size(); at += layout.unloaded_entry) {
    DumpModule module;
    const std::size_t length = std::min<std::size_t>(kd::Load16(list, at), 24);
    module.name = Utf8FromUtf16(ByteView(list).subspan(at + layout.unloaded_name, length));
    module.base = Pointer(list, at + layout.unloaded_start);
    module.size = static_cast<std::uint32_t>(Pointer(list, at + layout.unloaded_end) - module.base);
    unloaded_.push_back(std::move(module));
  }
}

}  // namespace longwire::dump
