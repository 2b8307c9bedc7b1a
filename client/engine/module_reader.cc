#include "client/engine/module_reader.h"

#include <set>

#include "proto/utf16.h"

namespace longwire {
namespace {

using plan::PlanBuilder;
using plan::Reg;

constexpr std::uint64_t kMaxModules = 4096;
constexpr std::uint64_t kMaxNameBytes = 2048;
constexpr std::uint64_t kMaxUnloaded = 50;  // MI_UNLOADED_DRIVERS

enum Tag : std::uint32_t { kEntry = 1, kFullName = 2, kBaseName = 3, kUnloadedEntry = 4, kUnloadedName = 5 };

/// Offsets of a loader entry (kd-protocol.md 5.4) and of an unloaded-driver entry.
struct Layout {
  std::uint64_t entry_size, base, size, full_name, base_name, flags, checksum, timestamp;
  std::uint64_t unloaded_size, unloaded_start, unloaded_end;
};
constexpr Layout kLayout64{0xA0, 0x30, 0x40, 0x48, 0x58, 0x68, 0x78, 0x9C, 0x28, 0x10, 0x18};
constexpr Layout kLayout32{0x5C, 0x18, 0x20, 0x24, 0x2C, 0x34, 0x40, 0x58, 0x18, 0x08, 0x0C};

/// Emits the buffer of the UNICODE_STRING at `at` + `offset`.
void EmitUnicodeString(PlanBuilder& b, std::uint32_t tag, Reg at, std::uint64_t offset,
                       unsigned pointer_size) {
  Reg length = b.Allocate(), buffer = b.Allocate(), limit = b.Constant(kMaxNameBytes);
  PlanBuilder::Label skip = b.NewLabel();
  b.Load(length, 2, at, offset, skip);
  b.Load(buffer, pointer_size, at, offset + pointer_size, skip);
  b.JumpZero(length, skip);
  b.JumpZero(buffer, skip);
  b.Minimum(length, length, limit);
  b.Emit(tag, buffer, 0, length);
  b.Bind(skip);
  b.Release(limit);
  b.Release(buffer);
  b.Release(length);
}

plan::Plan MakePlan(const ModuleListAddresses& addresses, const Layout& layout, unsigned pointer_size) {
  PlanBuilder b;
  Reg head = b.Constant(addresses.loaded_list);
  b.WalkList(head, kMaxModules, pointer_size, [&](Reg entry, PlanBuilder::Label) {
    b.EmitFixed(kEntry, entry, 0, layout.entry_size);
    EmitUnicodeString(b, kFullName, entry, layout.full_name, pointer_size);
    EmitUnicodeString(b, kBaseName, entry, layout.base_name, pointer_size);
  });
  if (addresses.unloaded_array_variable != 0) {
    PlanBuilder::Label done = b.NewLabel(), loop = b.NewLabel();
    Reg variable = b.Constant(addresses.unloaded_array_variable);
    Reg entry = b.Allocate();
    Reg left = b.Constant(kMaxUnloaded);
    Reg start = b.Allocate();
    b.Load(entry, pointer_size, variable, 0, done);
    b.JumpZero(entry, done);
    b.Bind(loop);
    b.JumpZero(left, done);
    b.Load(start, pointer_size, entry, layout.unloaded_start, done);
    b.JumpZero(start, done);
    b.EmitFixed(kUnloadedEntry, entry, 0, layout.unloaded_size);
    EmitUnicodeString(b, kUnloadedName, entry, 0, pointer_size);
    b.AddImmediate(entry, entry, layout.unloaded_size);
    b.AddImmediate(left, left, ~std::uint64_t{0});
    b.Jump(loop);
    b.Bind(done);
  }
  b.End();
  return b.Build();
}

ModuleRecord ParseEntry(std::span<const std::byte> entry, const Layout& layout, unsigned pointer_size) {
  ModuleRecord record;
  record.base = LoadLittle(entry, layout.base, pointer_size);
  record.size = static_cast<std::uint32_t>(LoadLittle(entry, layout.size, 4));
  record.flags = static_cast<std::uint32_t>(LoadLittle(entry, layout.flags, 4));
  record.checksum = static_cast<std::uint32_t>(LoadLittle(entry, layout.checksum, 4));
  record.timestamp = static_cast<std::uint32_t>(LoadLittle(entry, layout.timestamp, 4));
  return record;
}

}  // namespace

std::uint64_t LoadLittle(std::span<const std::byte> bytes, std::size_t offset, unsigned size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return 0;
  std::uint64_t value = 0;
  for (unsigned i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[offset + i]);
  return value;
}

Result<TargetModules> ReadTargetModules(Target& target, const ModuleListAddresses& addresses,
                                        unsigned pointer_size) {
  if (addresses.loaded_list == 0) {
    return Error{Errc::kNotFound, "the target did not say where its module list is (PsLoadedModuleList)"};
  }
  const Layout& layout = pointer_size == 8 ? kLayout64 : kLayout32;
  Result<plan::Output> output = target.Run(MakePlan(addresses, layout, pointer_size));
  if (!output) return output.error();

  TargetModules result;
  std::span<const std::byte> rest = output->data;
  std::set<std::uint64_t> seen;
  std::uint64_t last_link = 0;
  bool cyclic = false;
  for (const plan::Record& record : output->records) {
    if (record.data_size > rest.size())
      return Error{Errc::kMalformed, "the plan's answer is shorter than its records"};
    std::span<const std::byte> data = rest.first(record.data_size);
    rest = rest.subspan(record.data_size);
    if (record.tag == kEntry) {
      cyclic = !seen.insert(record.address).second;
      if (cyclic) break;
      result.loaded.push_back(ParseEntry(data, layout, pointer_size));
      result.loaded.back().is_kernel = result.loaded.back().base == addresses.kernel_base;
      last_link = LoadLittle(data, 0, pointer_size);
    } else if (record.tag == kFullName && !result.loaded.empty()) {
      result.loaded.back().image_path = Utf8FromUtf16(data);
    } else if (record.tag == kBaseName && !result.loaded.empty()) {
      result.loaded.back().image_name = Utf8FromUtf16(data);
    } else if (record.tag == kUnloadedEntry) {
      ModuleRecord unloaded;
      unloaded.base = LoadLittle(data, layout.unloaded_start, pointer_size);
      unloaded.size =
          static_cast<std::uint32_t>(LoadLittle(data, layout.unloaded_end, pointer_size) - unloaded.base);
      result.unloaded.push_back(std::move(unloaded));
    } else if (record.tag == kUnloadedName && !result.unloaded.empty()) {
      result.unloaded.back().image_name = Utf8FromUtf16(data);
    }
  }
  if (cyclic) {
    result.warning = "the loaded-module list runs in a circle; modules behind that point are missing";
  } else if (output->ending != plan::Ending::kFinished) {
    result.warning = "the loaded-module list is too long to read at once; some modules may be missing";
  } else if (last_link != addresses.loaded_list) {
    result.warning = "the loaded-module list cannot be read to its end; some modules may be missing";
  }
  // Entries that hold no image would claim every address from 0 on.
  std::erase_if(result.loaded,
                [](const ModuleRecord& record) { return record.base == 0 || record.size == 0; });
  return result;
}

TargetModules NamedModules(const rpc::TargetDescription& description) {
  const auto records = [&](const std::vector<rpc::NamedModule>& modules) {
    std::vector<ModuleRecord> records;
    for (const rpc::NamedModule& module : modules) {
      ModuleRecord record;
      record.image_path = module.name;
      const std::size_t slash = module.name.find_last_of("\\/");
      record.image_name = slash == std::string::npos ? module.name : module.name.substr(slash + 1);
      record.base = module.base;
      record.size = module.size;
      record.checksum = module.checksum;
      record.timestamp = module.timestamp;
      record.is_kernel = module.base == description.kernel_base;
      records.push_back(std::move(record));
    }
    return records;
  };
  return {records(description.modules), records(description.unloaded_modules), {}};
}

}  // namespace longwire
