#include "proto/dump/minidump.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "proto/kd/context.h"
#include "proto/utf16.h"

namespace longwire::dump {
namespace {

using kd::ByteView;

constexpr std::uint32_t kSignature = 0x504D444D;  // "MDMP"
constexpr std::uint16_t kVersion = 0xA793;
constexpr std::size_t kHeaderBytes = 0x20, kDirectoryEntry = 0xC;
constexpr std::size_t kMaxStreams = 4096, kMaxThreads = 4096, kMaxModules = 8192, kMaxRanges = 1u << 20;
constexpr std::size_t kMaxText = 32u << 10;
constexpr std::size_t kMaxName = 1024;  ///< bytes of one name

enum StreamType : std::uint32_t {
  kThreads = 3,
  kModules = 4,
  kMemory = 5,
  kException = 6,
  kSystem = 7,
  kMemory64 = 9,
  kCommentA = 10,
  kCommentW = 11,
  kUnloaded = 14,
  kMiscellaneous = 15,
};
constexpr std::size_t kThreadEntry = 0x30, kModuleEntry = 0x6C, kRangeEntry = 0x10, kRange64Entry = 0x10;
constexpr std::size_t kExceptionBytes = 0xA8, kSystemBytes = 0x20;

kd::Machine MachineOf(std::uint16_t architecture) {
  switch (architecture) {
    case 0: return kd::Machine::kX86;
    case 9: return kd::Machine::kAmd64;
    case 12: return kd::Machine::kArm64;
    default: return kd::Machine::kUnknown;
  }
}

}  // namespace

bool Minidump::Recognizes(const DumpFile& file) { return kd::Load32(file.ReadBytes(0, 4), 0) == kSignature; }

Result<Minidump> Minidump::Open(std::unique_ptr<DumpFile> file) {
  const kd::Bytes header = file->ReadBytes(0, kHeaderBytes);
  if (header.size() < kHeaderBytes || kd::Load32(header, 0) != kSignature ||
      kd::Load16(header, 4) != kVersion)
    return Error{Errc::kMalformed, "the minidump is cut inside its header, or of another version"};
  const std::size_t count = kd::Load32(header, 8);
  const std::uint64_t directory = kd::Load32(header, 12);
  if (count > kMaxStreams || !file->Holds(directory, count * kDirectoryEntry))
    return Error{Errc::kMalformed, "the minidump's list of streams lies outside of the file; copy it again"};
  Minidump dump;
  dump.time_ = kd::Load32(header, 0x14);
  const kd::Bytes list = file->ReadBytes(directory, count * kDirectoryEntry);
  dump.file_ = std::move(file);
  std::vector<Stream> streams;
  for (std::size_t at = 0; at + kDirectoryEntry <= list.size(); at += kDirectoryEntry)
    streams.push_back({kd::Load32(list, at), kd::Load32(list, at + 4), kd::Load32(list, at + 8)});
  // The machine first: everything else is read in its terms.
  for (const Stream& stream : streams) {
    if (stream.type != kSystem) continue;
    if (auto read = dump.ReadSystem(stream); !read) return read.error();
    break;
  }
  if (dump.machine_ == kd::Machine::kUnknown)
    return Error{Errc::kMalformed, "the minidump does not say of which machine it is; copy it again"};
  dump.ReadStreams(streams);
  if (dump.threads_.empty()) return Error{Errc::kMalformed, "the minidump holds no threads; copy it again"};
  dump.windows_.Seal();
  return dump;
}

/// Where two streams hold the same memory the larger one counts: 9, then 5, then the stacks (engine.md 1.9).
void Minidump::ReadStreams(const std::vector<Stream>& streams) {
  const auto each = [&](std::uint32_t type, void (Minidump::*read)(const Stream&)) {
    const auto found =
        std::find_if(streams.begin(), streams.end(), [&](const Stream& s) { return s.type == type; });
    if (found != streams.end()) (this->*read)(*found);
  };
  each(kMemory64, &Minidump::ReadMemory64);
  each(kMemory, &Minidump::ReadMemory);
  each(kThreads, &Minidump::ReadThreads);
  each(kModules, &Minidump::ReadModules);
  each(kUnloaded, &Minidump::ReadUnloaded);
  each(kException, &Minidump::ReadException);
  for (const Stream& stream : streams) {
    if (stream.type == kMiscellaneous) {
      const kd::Bytes bytes = ReadStream(stream, 0x18, "process information");
      if ((kd::Load32(bytes, 4) & 1) != 0) process_id_ = kd::Load32(bytes, 8);
    } else if (stream.type == kCommentW && comment_.empty()) {
      comment_ = Utf8FromUtf16(ReadStream(stream, kMaxText, "comment"));
    } else if (stream.type == kCommentA && comment_.empty()) {
      for (const std::byte byte : ReadStream(stream, kMaxText, "comment"))
        comment_ += static_cast<char>(byte);
    }
  }
  comment_ = comment_.substr(0, comment_.find('\0'));
}

kd::Bytes Minidump::ReadStream(const Stream& stream, std::size_t most, const char* what) {
  if (!file_->Holds(stream.offset, stream.size))
    warnings_.push_back(std::string("the minidump's ") + what + " goes beyond the file's end");
  return file_->ReadBytes(stream.offset, std::min<std::size_t>(stream.size, most));
}

std::size_t Minidump::Entries(ByteView bytes, std::size_t entry, const char* what) {
  const std::size_t claimed = kd::Load32(bytes, 0);
  std::size_t there = bytes.size() < 4 ? 0 : (bytes.size() - 4) / entry;
  // Some writers align the first entry; there is room for padding then.
  if (claimed <= there) return claimed;
  warnings_.push_back(std::string("the minidump's list of ") + what + " is damaged; some are missing");
  return there;
}

kd::Bytes Minidump::ReadContext(ByteView location) const {
  const kd::ContextLayout* layout = kd::FindContextLayout(machine_);
  const std::size_t size = std::min<std::size_t>(kd::Load32(location, 0), layout->size);
  kd::Bytes context = file_->ReadBytes(kd::Load32(location, 4), size);
  // Less than the control registers of the record is nothing.
  if (context.size() < layout->size) context.clear();
  return context;
}

std::string Minidump::ReadString(std::uint64_t offset) {
  if (offset == 0) return {};
  const kd::Bytes length = file_->ReadBytes(offset, 4);
  const std::size_t bytes = std::min<std::size_t>({kd::Load32(length, 0), kMaxName, names_left_});
  names_left_ -= bytes;
  return Utf8FromUtf16(file_->ReadBytes(offset + 4, bytes & ~std::size_t{1}));
}

Result<void> Minidump::ReadSystem(const Stream& stream) {
  const kd::Bytes bytes = ReadStream(stream, kSystemBytes, "system information");
  if (bytes.size() < kSystemBytes)
    return Error{Errc::kMalformed, "the minidump is cut inside its system information; copy it again"};
  const std::uint16_t architecture = kd::Load16(bytes, 0);
  machine_ = MachineOf(architecture);
  if (machine_ == kd::Machine::kUnknown)
    return Error{Errc::kUnsupported, "the minidump is of a machine of type " + std::to_string(architecture) +
                                         "; only x86, x64 and ARM64 ones can be opened"};
  system_.processors = std::max<std::uint32_t>(kd::Load8(bytes, 6), 1);
  system_.major = kd::Load32(bytes, 8);
  system_.minor = kd::Load32(bytes, 0xC);
  system_.build = kd::Load32(bytes, 0x10);
  system_.platform = kd::Load32(bytes, 0x14);
  system_.service_pack = ReadString(kd::Load32(bytes, 0x18));
  return {};
}

void Minidump::ReadThreads(const Stream& stream) {
  const kd::Bytes bytes = ReadStream(stream, 4 + kMaxThreads * kThreadEntry, "list of threads");
  const std::size_t count = Entries(bytes, kThreadEntry, "threads");
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView entry = ByteView(bytes).subspan(4 + i * kThreadEntry, kThreadEntry);
    Thread thread;
    thread.id = kd::Load32(entry, 0);
    thread.suspend_count = kd::Load32(entry, 4);
    thread.priority_class = kd::Load32(entry, 8);
    thread.priority = kd::Load32(entry, 0xC);
    thread.teb = Plain(kd::Load64(entry, 0x10));
    thread.context = ReadContext(entry.subspan(0x28));
    windows_.Add(*file_, Plain(kd::Load64(entry, 0x18)), kd::Load32(entry, 0x24), kd::Load32(entry, 0x20));
    threads_.push_back(std::move(thread));
  }
}

void Minidump::ReadModules(const Stream& stream) {
  const kd::Bytes bytes = ReadStream(stream, 4 + kMaxModules * kModuleEntry, "list of modules");
  const std::size_t count = Entries(bytes, kModuleEntry, "modules");
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView entry = ByteView(bytes).subspan(4 + i * kModuleEntry, kModuleEntry);
    DumpModule module;
    module.base = Plain(kd::Load64(entry, 0));
    module.size = kd::Load32(entry, 8);
    module.checksum = kd::Load32(entry, 0xC);
    module.timestamp = kd::Load32(entry, 0x10);
    module.name = ReadString(kd::Load32(entry, 0x14));
    if (module.base != 0 && module.size != 0) modules_.push_back(std::move(module));
  }
}

void Minidump::ReadUnloaded(const Stream& stream) {
  const kd::Bytes bytes = ReadStream(stream, kMaxModules * 0x18, "list of unloaded modules");
  const std::size_t head = kd::Load32(bytes, 0), size = kd::Load32(bytes, 4);
  const std::size_t count = std::min<std::size_t>(kd::Load32(bytes, 8), kMaxModules);
  if (head < 12 || size < 0x18 || head > bytes.size()) return;
  for (std::size_t i = 0; i < count && size <= (bytes.size() - head) / (i + 1); ++i) {
    const ByteView entry = ByteView(bytes).subspan(head + i * size, size);
    DumpModule module;
    module.base = Plain(kd::Load64(entry, 0));
    module.size = kd::Load32(entry, 8);
    module.checksum = kd::Load32(entry, 0xC);
    module.timestamp = kd::Load32(entry, 0x10);
    module.name = ReadString(kd::Load32(entry, 0x14));
    unloaded_.push_back(std::move(module));
  }
}

void Minidump::ReadMemory(const Stream& stream) {
  const kd::Bytes bytes = ReadStream(stream, 4 + kMaxRanges * kRangeEntry, "list of memory");
  const std::size_t count = Entries(bytes, kRangeEntry, "memory ranges");
  std::size_t outside = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView entry = ByteView(bytes).subspan(4 + i * kRangeEntry, kRangeEntry);
    const std::uint64_t size = kd::Load32(entry, 8), offset = kd::Load32(entry, 12);
    if (size != 0 && !file_->Holds(offset, size)) ++outside;
    windows_.Add(*file_, Plain(kd::Load64(entry, 0)), offset, size);
  }
  if (outside != 0)
    warnings_.push_back("the dump is cut: " + std::to_string(outside) + " memory ranges are not whole");
}

void Minidump::ReadMemory64(const Stream& stream) {
  const kd::Bytes bytes = ReadStream(stream, 16 + kMaxRanges * kRange64Entry, "list of memory");
  if (bytes.size() < 16) return;
  full_memory_ = true;
  const std::uint64_t claimed = kd::Load64(bytes, 0), there = (bytes.size() - 16) / kRange64Entry;
  if (claimed > there)
    warnings_.push_back("the minidump's list of memory ranges is damaged; some are missing");
  std::uint64_t offset = kd::Load64(bytes, 8);
  for (std::uint64_t i = 0; i < std::min(claimed, there); ++i) {
    const std::size_t at = 16 + static_cast<std::size_t>(i) * kRange64Entry;
    const std::uint64_t size = kd::Load64(bytes, at + 8);
    windows_.Add(*file_, Plain(kd::Load64(bytes, at)), offset, size);
    if (!file_->Holds(offset, size)) {
      warnings_.push_back("the dump is cut: memory from its range " + std::to_string(i) + " on is missing");
      return;
    }
    offset += size;
  }
}

void Minidump::ReadException(const Stream& stream) {
  const kd::Bytes bytes = ReadStream(stream, kExceptionBytes, "exception");
  if (bytes.size() < kExceptionBytes) return;
  Exception exception;
  exception.thread_id = kd::Load32(bytes, 0);
  exception.code = kd::Load32(bytes, 8);
  exception.flags = kd::Load32(bytes, 0xC);
  exception.record = Plain(kd::Load64(bytes, 0x10));
  exception.address = Plain(kd::Load64(bytes, 0x18));
  const std::uint32_t count = std::min<std::uint32_t>(kd::Load32(bytes, 0x20), 15);
  for (std::size_t i = 0; i < count; ++i) exception.parameters.push_back(kd::Load64(bytes, 0x28 + 8 * i));
  const kd::Bytes context = ReadContext(ByteView(bytes).subspan(0xA0));
  for (Thread& thread : threads_) {
    if (thread.id == exception.thread_id && !context.empty()) thread.context = context;
  }
  exception_ = std::move(exception);
}

}  // namespace longwire::dump
