#include "proto/dump/kernel_header.h"

#include <algorithm>
#include <string_view>

#include "proto/kd/context.h"

namespace longwire::dump {
namespace {

using kd::ByteView;

constexpr std::uint32_t kFiller = 0x45474150;  // "PAGE", what unset fields hold
constexpr std::uint32_t kTriageMark = 0x10000000;
constexpr std::size_t kMaxRuns = 42;

std::uint32_t Field32(ByteView header, std::size_t offset) {
  const std::uint32_t value = kd::Load32(header, offset);
  return value == kFiller ? 0 : value;
}

std::uint64_t Field64(ByteView header, std::size_t offset) {
  const std::uint64_t value = kd::Load64(header, offset);
  return value == (std::uint64_t{kFiller} << 32 | kFiller) ? 0 : value;
}

std::string_view Text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Error Refuse(std::string_view first) {
  if (first.starts_with("MSCF"))
    return {Errc::kUnsupported,
            "this is a cabinet; extract the .dmp file in it first, for example with cabextract"};
  if (first.starts_with("USERDUMP") || first.starts_with("PAGEUSRP"))
    return {Errc::kUnsupported,
            "dumps of the obsolete format " + std::string(first.substr(0, 8)) + " are not supported"};
  if (first.starts_with("\x7f"
                        "ELF") ||
      first.starts_with("KDUMP   ") || first.starts_with("makedumpfile"))
    return {Errc::kUnsupported, "this is a Linux core; open it with gdb or crash"};
  return {Errc::kMalformed,
          "this is not a crash dump: it begins with neither PAGEDU64, PAGEDUMP, MDMP nor another known mark"};
}

/// Where the fields of a header are, and how wide its pointers.
struct Layout {
  std::size_t size, pointer;
  std::size_t directory_table_base, loaded_modules, active_processes, machine, processors, bugcheck;
  std::size_t parameters, debugger_data, runs, first_run, context, exception, type, comment;
  std::size_t system_time, up_time, product_type, suite_mask, writer_status, secondary_version;
};
constexpr Layout kLayout64 = {.size = kHeader64Size,
                              .pointer = 8,
                              .directory_table_base = 0x10,
                              .loaded_modules = 0x20,
                              .active_processes = 0x28,
                              .machine = 0x30,
                              .processors = 0x34,
                              .bugcheck = 0x38,
                              .parameters = 0x40,
                              .debugger_data = 0x80,
                              .runs = 0x88,
                              .first_run = 0x98,
                              .context = 0x348,
                              .exception = 0xF00,
                              .type = 0xF98,
                              .comment = 0xFB0,
                              .system_time = 0xFA8,
                              .up_time = 0x1030,
                              .product_type = 0x1040,
                              .suite_mask = 0x1044,
                              .writer_status = 0x1048,
                              .secondary_version = 0x104D};
constexpr Layout kLayout32 = {.size = kHeader32Size,
                              .pointer = 4,
                              .directory_table_base = 0x10,
                              .loaded_modules = 0x18,
                              .active_processes = 0x1C,
                              .machine = 0x20,
                              .processors = 0x24,
                              .bugcheck = 0x28,
                              .parameters = 0x2C,
                              .debugger_data = 0x60,
                              .runs = 0x64,
                              .first_run = 0x6C,
                              .context = 0x320,
                              .exception = 0x7D0,
                              .type = 0xF88,
                              .comment = 0x820,
                              .system_time = 0xFC0,
                              .up_time = 0xFB8,
                              .product_type = 0xF94,
                              .suite_mask = 0xF98,
                              .writer_status = 0xF9C,
                              .secondary_version = 0x5D};
constexpr std::size_t kPae32 = 0x5C;

std::uint64_t FieldPointer(ByteView header, const Layout& layout, std::size_t offset) {
  return layout.pointer == 8 ? Field64(header, offset) : Field32(header, offset);
}

std::vector<KernelHeader::Run> ReadRuns(ByteView header, const Layout& layout) {
  std::vector<KernelHeader::Run> runs;
  const std::uint32_t count = Field32(header, layout.runs);
  if (count > kMaxRuns) return runs;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = layout.first_run + 2 * layout.pointer * i;
    const KernelHeader::Run run{FieldPointer(header, layout, at),
                                FieldPointer(header, layout, at + layout.pointer)};
    if (run.pages != 0) runs.push_back(run);
  }
  return runs;
}

/// EXCEPTION_RECORD of either width.
KernelHeader::Exception ReadException(ByteView header, const Layout& layout) {
  KernelHeader::Exception exception;
  const std::size_t at = layout.exception, count_at = at + 8 + 2 * layout.pointer;
  exception.code = Field32(header, at);
  exception.flags = Field32(header, at + 4);
  exception.record = FieldPointer(header, layout, at + 8);
  exception.address = FieldPointer(header, layout, at + 8 + layout.pointer);
  const std::uint32_t count = std::min<std::uint32_t>(Field32(header, count_at), 15);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t parameter = count_at + layout.pointer * (i + 1);
    exception.parameters.push_back(layout.pointer == 8 ? kd::Load64(header, parameter)
                                                       : kd::Load32(header, parameter));
  }
  return exception;
}

std::string ReadComment(ByteView header, const Layout& layout) {
  std::string_view comment = Text(header.subspan(layout.comment, 128));
  if (comment.starts_with("PAGE")) return {};
  return std::string(comment.substr(0, comment.find('\0')));
}

}  // namespace

Result<KernelHeader> ReadKernelHeader(const DumpFile& file) {
  const kd::Bytes bytes = file.ReadBytes(0, kHeader64Size);
  ByteView header(bytes);
  const std::string_view first = Text(header.first(std::min<std::size_t>(header.size(), 16)));
  const bool narrow = first.starts_with("PAGEDUMP");
  if (!narrow && !first.starts_with("PAGEDU64")) return Refuse(first);
  const Layout& layout = narrow ? kLayout32 : kLayout64;
  if (header.size() < layout.size)
    return Error{Errc::kMalformed, "the dump is cut inside its header; copy it again"};
  header = header.first(layout.size);
  const auto pointer = [&](std::size_t offset) { return FieldPointer(header, layout, offset); };
  KernelHeader out;
  out.payload = layout.size;
  out.pae = narrow && kd::Load8(header, kPae32) == 1;
  out.major = Field32(header, 8);
  out.build = Field32(header, 0xC);
  // The top table of PAE has any place of 32 bytes.
  const std::uint64_t base_mask = out.pae ? 0x1F : 0xFFF;
  out.directory_table_base = pointer(layout.directory_table_base) & ~base_mask;
  out.loaded_module_list = pointer(layout.loaded_modules);
  out.active_process_head = pointer(layout.active_processes);
  out.machine = static_cast<kd::Machine>(Field32(header, layout.machine));
  out.processors = std::clamp<std::uint32_t>(Field32(header, layout.processors), 1, 4096);
  out.bugcheck_code = Field32(header, layout.bugcheck) & ~kTriageMark;
  for (std::size_t i = 0; i < 4; ++i)
    out.bugcheck_parameters[i] = pointer(layout.parameters + layout.pointer * i);
  out.debugger_data_address = pointer(layout.debugger_data);
  out.runs = ReadRuns(header, layout);
  const kd::ContextLayout* machine = kd::FindContextLayout(out.machine);
  if (machine == nullptr || kd::PointerSize(out.machine) != layout.pointer) {
    return Error{Errc::kUnsupported, "the dump is of a machine of type " +
                                         std::to_string(Field32(header, layout.machine)) +
                                         "; only x86, AMD64 and ARM64 ones can be opened"};
  }
  const ByteView context = header.subspan(layout.context, machine->size);
  out.context.assign(context.begin(), context.end());
  out.exception = ReadException(header, layout);
  out.type = Field32(header, layout.type);
  out.system_time = Field64(header, layout.system_time);
  out.comment = ReadComment(header, layout);
  out.up_time = Field64(header, layout.up_time);
  out.product_type = Field32(header, layout.product_type);
  out.suite_mask = Field32(header, layout.suite_mask);
  out.writer_status = Field32(header, layout.writer_status);
  out.secondary_version = kd::Load8(header, layout.secondary_version);
  return out;
}

}  // namespace longwire::dump
