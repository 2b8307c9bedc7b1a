#include "server/dump/kernel_space.h"

#include <algorithm>
#include <utility>

#include "proto/kd/context.h"

namespace longwire {
namespace {

constexpr std::size_t kStackReach = 64u << 10;  ///< two stack pointers this near are of one stack

kd::PagingMode PagingOf(const dump::KernelHeader& header) {
  switch (header.machine) {
    case kd::Machine::kArm64: return kd::PagingMode::kArm64;
    case kd::Machine::kX86: return header.pae ? kd::PagingMode::kX86Pae : kd::PagingMode::kX86Plain;
    default: return kd::PagingMode::kX64FourLevel;
  }
}

}  // namespace

std::vector<rpc::NamedModule> Named(const std::vector<dump::DumpModule>& modules) {
  std::vector<rpc::NamedModule> named;
  for (const dump::DumpModule& module : modules)
    named.push_back({module.name, module.base, module.size, module.checksum, module.timestamp});
  return named;
}

KernelSpace::KernelSpace(dump::KernelDump dump) : dump_(std::move(dump)), paging_(PagingOf(dump_.header())) {
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

rpc::TargetDescription KernelSpace::Describe() const {
  const dump::KernelHeader& header = dump_.header();
  rpc::TargetDescription description;
  description.major_version = static_cast<std::uint16_t>(header.major);
  description.minor_version = static_cast<std::uint16_t>(header.build);
  description.secondary_version = header.secondary_version;
  description.machine = static_cast<std::uint16_t>(header.machine);
  description.loaded_module_list = header.loaded_module_list;
  description.debugger_data_address = header.debugger_data_address;
  description.processors = header.processors;
  description.kernel_base = Data("KernBase");
  if (debugger_data_)
    description.debugger_data.assign(debugger_data_->bytes().begin(), debugger_data_->bytes().end());
  if (const dump::Triage* triage = dump_.triage()) {
    description.modules = Named(triage->modules());
    description.unloaded_modules = Named(triage->unloaded());
  }
  return description;
}

rpc::StopEvent KernelSpace::Stop(std::uint32_t processor) const {
  const dump::KernelHeader& header = dump_.header();
  rpc::StopEvent event;
  event.thread = Thread(processor);
  event.exception = {header.exception.code,    header.exception.flags,      header.exception.record,
                     header.exception.address, header.exception.parameters, false};
  if (header.bugcheck_code != 0)
    event.bugcheck = rpc::Bugcheck{header.bugcheck_code, header.bugcheck_parameters};
  return event;
}

std::size_t KernelSpace::ReadVirtual(std::uint64_t address, std::span<std::byte> out) const {
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

kd::Bytes KernelSpace::Read(std::uint64_t address, std::size_t size) const {
  kd::Bytes bytes(size);
  bytes.resize(ReadVirtual(address, bytes));
  return bytes;
}

std::uint64_t KernelSpace::Pointer(std::uint64_t address) const {
  const kd::Bytes bytes = Read(address, pointer_size());
  if (bytes.size() < pointer_size()) return 0;
  return pointer_size() == 8 ? kd::Load64(bytes, 0) : kd::Load32(bytes, 0);
}

std::uint64_t KernelSpace::Data(const char* field) const {
  return debugger_data_ ? kd::PlainAddress(machine(), debugger_data_->Get(field).value_or(0)) : 0;
}

std::uint64_t KernelSpace::ControlBlock(std::uint32_t processor) const {
  const std::uint64_t table = Data("KiProcessorBlock");
  if (table == 0 || processor >= dump_.header().processors) return 0;
  return Pointer(table + std::uint64_t{pointer_size()} * processor);
}

std::uint64_t KernelSpace::Thread(std::uint32_t processor) const {
  const std::uint64_t block = ControlBlock(processor), offset = Data("OffsetPrcbCurrentThread");
  return block != 0 && offset != 0 ? Pointer(block + offset) : 0;
}

std::uint64_t KernelSpace::StackPointer(kd::ByteView context) const {
  const kd::ContextLayout* layout = kd::FindContextLayout(machine());
  return pointer_size() == 8 ? kd::Load64(context, layout->sp_offset)
                             : kd::Load32(context, layout->sp_offset);
}

/// Newer kernels keep a pointer to the record, older ones the record itself.
kd::Bytes KernelSpace::SavedContext(std::uint32_t processor) const {
  const kd::ContextLayout* layout = kd::FindContextLayout(machine());
  const std::uint64_t block = ControlBlock(processor);
  const std::uint64_t pointer = Data("OffsetPrcbContext"), inside = Data("OffsetPrcbProcStateContext");
  if (block == 0 || (pointer == 0 && inside == 0)) return {};
  kd::Bytes context = Read(pointer != 0 ? Pointer(block + pointer) : block + inside, layout->size);
  if (context.size() < layout->size) context.clear();
  return context;
}

/// The processor whose saved stack pointer is near the fault's. A triage dump holds its control block.
std::uint32_t KernelSpace::FindCrashedProcessor() const {
  if (const dump::Triage* triage = dump_.triage()) {
    const std::uint64_t offset = Data("OffsetPrcbNumber");
    const std::uint32_t number = kd::Load16(triage->control_block(), offset);
    return offset != 0 && number < dump_.header().processors ? number : 0;
  }
  const std::uint64_t fault = StackPointer(dump_.header().context);
  for (std::uint32_t processor = 0; processor < dump_.header().processors; ++processor) {
    const kd::Bytes context = SavedContext(processor);
    if (context.empty()) continue;
    const std::uint64_t saved = StackPointer(context);
    if (saved - fault < kStackReach || fault - saved < kStackReach) return processor;
  }
  return 0;
}

kd::Bytes KernelSpace::Context(std::uint32_t processor) const {
  if (processor == crashed_processor_) return dump_.header().context;
  return SavedContext(processor);
}

kd::Bytes KernelSpace::SpecialRegisters(std::uint32_t processor) const {
  const std::uint64_t block = ControlBlock(processor), offset = Data("OffsetPrcbProcStateSpecialReg");
  if (block == 0 || offset == 0) return {};
  return Read(block + offset, kd::FindSpecialLayout(machine())->size);
}

kd::Bytes KernelSpace::ControlSpace(std::uint32_t processor, std::uint64_t selector) const {
  if (selector == kd::FindSpecialLayout(machine())->control_selector) return SpecialRegisters(processor);
  // On x86 the others are bytes of the context, which is asked for as such.
  const std::uint64_t block = pointer_size() == 8 ? ControlBlock(processor) : 0;
  if (block == 0) return {};
  const auto value = [](std::uint64_t number) {
    kd::Bytes bytes(8);
    kd::Store(std::span(bytes), 0, number);
    return bytes;
  };
  switch (selector) {
    case 0: return value(block - Data("OffsetPcrContainedPrcb"));
    case 1: return value(block);
    case 3: return value(Thread(processor));
    default: return {};
  }
}

}  // namespace longwire
