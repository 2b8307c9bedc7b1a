// A kernel dump or a user minidump: opened, then read at the places it names and some others.
#include <algorithm>

#include "proto/dump/kernel_dump.h"
#include "proto/dump/minidump.h"

using namespace longwire;

namespace {

class InputFile final : public dump::DumpFile {
 public:
  explicit InputFile(kd::ByteView bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  std::size_t Read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= bytes_.size()) return 0;
    const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  }

 private:
  kd::ByteView bytes_;
};

void ReadMinidump(std::unique_ptr<dump::DumpFile> file) {
  const auto dump = dump::Minidump::Open(std::move(file));
  if (!dump) return;
  kd::Bytes out(0x3000);
  for (const auto& module : dump->modules()) dump->ReadVirtual(module.base, out);
  for (const auto& thread : dump->threads()) dump->ReadVirtual(thread.teb, out);
  dump->ReadVirtual(0, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto file = std::make_unique<InputFile>(std::as_bytes(std::span(data, size)));
  if (dump::Minidump::Recognizes(*file)) {
    ReadMinidump(std::move(file));
    return 0;
  }
  const auto dump = dump::KernelDump::Open(std::move(file));
  if (!dump) return 0;
  kd::Bytes out(0x3000);
  for (const std::uint64_t address :
       {std::uint64_t{0}, dump->header().directory_table_base, dump->header().debugger_data_address}) {
    dump->ReadPhysical(address, out);
    dump->ReadVirtual(address, out);
  }
  if (dump->triage() != nullptr) dump->ReadVirtual(dump->triage()->stack_pointer(), out);
  for (const auto& run : dump->header().runs) dump->ReadPhysical(run.first_page * dump::kPageBytes, out);
  return 0;
}
