#include "server/dump/dump_space.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "proto/kd/context.h"
#include "transport/scoped_descriptor.h"

namespace longwire {
namespace {

/// Reads by pread: a file that is cut while it is open gives short reads, not a signal.
class OpenFile final : public dump::DumpFile {
 public:
  OpenFile(ScopedDescriptor descriptor, std::uint64_t size)
      : descriptor_(std::move(descriptor)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  std::size_t Read(std::uint64_t offset, std::span<std::byte> out) const override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t got =
          ::pread(descriptor_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

 private:
  ScopedDescriptor descriptor_;
  std::uint64_t size_;
};

constexpr std::size_t kStackReach = 64u << 10;  ///< two stack pointers this near are of one stack

}  // namespace

DumpSpace::DumpSpace(dump::KernelDump dump) : dump_(std::move(dump)) {
  if (dump_.header().machine == kd::Machine::kArm64) paging_ = kd::PagingMode::kArm64;
  kd::Bytes block;
  if (const dump::Triage* triage = dump_.triage()) {
    block.assign(triage->debugger_data().begin(), triage->debugger_data().end());
  } else if (dump_.header().debugger_data_address != 0) {
    const kd::Bytes head = Read(dump_.header().debugger_data_address, kd::kDebuggerDataHeader);
    if (const auto size = kd::DebuggerData::ReadSize(head))
      block = Read(dump_.header().debugger_data_address, *size);
  }
  if (auto data = kd::DebuggerData::Parse(block)) debugger_data_ = std::move(*data);
  crashed_processor_ = FindCrashedProcessor();
}

std::size_t DumpSpace::ReadVirtual(std::uint64_t address, std::span<std::byte> out) const {
  if (dump_.triage() != nullptr) return dump_.ReadVirtual(address, out);
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t at = address + done;
    kd::Translation walk(paging_, dump_.header().directory_table_base, at);
    while (walk.Next().outcome == kd::Translation::Outcome::kRead) {
      std::byte entry[8];
      const std::size_t got = ReadPhysical(walk.Next().address, std::span(entry).first(walk.Next().length));
      walk.Supply(std::span(entry).first(got));
    }
    if (!walk.Resolved()) break;
    const std::size_t wanted =
        std::min<std::size_t>(out.size() - done, dump::kPageBytes - at % dump::kPageBytes);
    const std::size_t got = ReadPhysical(walk.Next().address, out.subspan(done, wanted));
    done += got;
    if (got < wanted) break;
  }
  return done;
}

kd::Bytes DumpSpace::Read(std::uint64_t address, std::size_t size) const {
  kd::Bytes bytes(size);
  bytes.resize(ReadVirtual(address, bytes));
  return bytes;
}

std::uint64_t DumpSpace::Pointer(std::uint64_t address) const {
  const kd::Bytes bytes = Read(address, 8);
  return bytes.size() == 8 ? kd::Load64(bytes, 0) : 0;
}

std::uint64_t DumpSpace::Data(const char* field) const {
  return debugger_data_ ? debugger_data_->Get(field).value_or(0) : 0;
}

std::uint64_t DumpSpace::control_block(std::uint32_t processor) const {
  const std::uint64_t table = Data("KiProcessorBlock");
  if (table == 0 || processor >= dump_.header().processors) return 0;
  return Pointer(table + std::uint64_t{8} * processor);
}

std::uint64_t DumpSpace::thread(std::uint32_t processor) const {
  const std::uint64_t block = control_block(processor), offset = Data("OffsetPrcbCurrentThread");
  return block != 0 && offset != 0 ? Pointer(block + offset) : 0;
}

kd::Bytes DumpSpace::SavedContext(std::uint32_t processor) const {
  const kd::ContextLayout* layout = kd::FindContextLayout(dump_.header().machine);
  const std::uint64_t block = control_block(processor), offset = Data("OffsetPrcbContext");
  if (block == 0 || offset == 0 || layout == nullptr) return {};
  kd::Bytes context = Read(Pointer(block + offset), layout->size);
  if (context.size() < layout->size) context.clear();
  return context;
}

/// The processor whose saved stack pointer is near the fault's. A triage dump holds its control block.
std::uint32_t DumpSpace::FindCrashedProcessor() const {
  const kd::ContextLayout* layout = kd::FindContextLayout(dump_.header().machine);
  if (const dump::Triage* triage = dump_.triage()) {
    const std::uint64_t offset = Data("OffsetPrcbNumber");
    const std::uint32_t number = kd::Load16(triage->control_block(), offset);
    return offset != 0 && number < dump_.header().processors ? number : 0;
  }
  const std::uint64_t fault = kd::Load64(dump_.header().context, layout->sp_offset);
  for (std::uint32_t processor = 0; processor < dump_.header().processors; ++processor) {
    const kd::Bytes context = SavedContext(processor);
    if (context.empty()) continue;
    const std::uint64_t saved = kd::Load64(context, layout->sp_offset);
    if (saved - fault < kStackReach || fault - saved < kStackReach) return processor;
  }
  return 0;
}

kd::Bytes DumpSpace::Context(std::uint32_t processor) const {
  if (processor == crashed_processor_) return dump_.header().context;
  return SavedContext(processor);
}

kd::Bytes DumpSpace::ControlSpace(std::uint32_t processor, std::uint64_t selector) const {
  const std::uint64_t block = control_block(processor);
  if (block == 0) return {};
  const auto value = [](std::uint64_t number) {
    kd::Bytes bytes(8);
    kd::Store(std::span(bytes), 0, number);
    return bytes;
  };
  switch (selector) {
    case 0: return value(block - Data("OffsetPcrContainedPrcb"));
    case 1: return value(block);
    case 2: {
      const kd::SpecialLayout* layout = kd::FindSpecialLayout(dump_.header().machine);
      const std::uint64_t offset = Data("OffsetPrcbProcStateSpecialReg");
      return layout != nullptr && offset != 0 ? Read(block + offset, layout->size) : kd::Bytes();
    }
    case 3: return value(thread(processor));
    default: return {};
  }
}

Result<DumpSpace> OpenDump(const std::string& path) {
  ScopedDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &info) != 0) {
    const int error = errno;
    return Error{Errc::kNotFound, "cannot open the dump " + path + ": " + std::strerror(error), 0, error};
  }
  if (!S_ISREG(info.st_mode)) return Error{Errc::kUsage, path + " is not a file"};
  auto file = std::make_unique<OpenFile>(std::move(descriptor), static_cast<std::uint64_t>(info.st_size));
  Result<dump::KernelDump> dump = dump::KernelDump::Open(std::move(file));
  if (!dump) return Error{dump.error().code, path + ": " + dump.error().message};
  return DumpSpace(std::move(*dump));
}

}  // namespace longwire
