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
  if (first.starts_with("PAGEDUMP"))
    return {Errc::kUnsupported, "this is a 32-bit kernel dump (PAGEDUMP); only 64-bit ones can be opened"};
  if (first.starts_with("MDMP"))
    return {Errc::kUnsupported, "this is a minidump of a user process; only kernel dumps can be opened"};
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
          "this is not a crash dump: it begins with neither PAGEDU64 nor another known mark"};
}

std::vector<KernelHeader::Run> ReadRuns(ByteView header) {
  std::vector<KernelHeader::Run> runs;
  const std::uint32_t count = Field32(header, 0x88);
  if (count > kMaxRuns) return runs;
  for (std::size_t i = 0; i < count; ++i) {
    const KernelHeader::Run run{Field64(header, 0x98 + 16 * i), Field64(header, 0xA0 + 16 * i)};
    if (run.pages != 0) runs.push_back(run);
  }
  return runs;
}

KernelHeader::Exception ReadException(ByteView header) {
  KernelHeader::Exception exception;
  exception.code = Field32(header, 0xF00);
  exception.flags = Field32(header, 0xF04);
  exception.record = Field64(header, 0xF08);
  exception.address = Field64(header, 0xF10);
  const std::uint32_t count = std::min<std::uint32_t>(Field32(header, 0xF18), 15);
  for (std::size_t i = 0; i < count; ++i) exception.parameters.push_back(kd::Load64(header, 0xF20 + 8 * i));
  return exception;
}

std::string ReadComment(ByteView header) {
  std::string_view comment = Text(header.subspan(0xFB0, 128));
  if (comment.starts_with("PAGE")) return {};
  return std::string(comment.substr(0, comment.find('\0')));
}

}  // namespace

Result<KernelHeader> ReadKernelHeader(const DumpFile& file) {
  const kd::Bytes bytes = file.ReadBytes(0, kHeader64Size);
  const ByteView header(bytes);
  const std::string_view first = Text(header.first(std::min<std::size_t>(header.size(), 16)));
  if (!first.starts_with("PAGEDU64")) return Refuse(first);
  if (header.size() < kHeader64Size)
    return Error{Errc::kMalformed, "the dump is cut inside its header; copy it again"};
  KernelHeader out;
  out.major = Field32(header, 8);
  out.build = Field32(header, 0xC);
  out.directory_table_base = Field64(header, 0x10) & ~std::uint64_t{0xFFF};
  out.loaded_module_list = Field64(header, 0x20);
  out.active_process_head = Field64(header, 0x28);
  out.machine = static_cast<kd::Machine>(Field32(header, 0x30));
  out.processors = std::clamp<std::uint32_t>(Field32(header, 0x34), 1, 4096);
  out.bugcheck_code = Field32(header, 0x38) & ~kTriageMark;
  for (std::size_t i = 0; i < 4; ++i) out.bugcheck_parameters[i] = Field64(header, 0x40 + 8 * i);
  out.debugger_data_address = Field64(header, 0x80);
  out.runs = ReadRuns(header);
  const kd::ContextLayout* layout = kd::FindContextLayout(out.machine);
  if (layout == nullptr || kd::PointerSize(out.machine) != 8) {
    return Error{Errc::kUnsupported, "the dump is of a machine of type " +
                                         std::to_string(Field32(header, 0x30)) +
                                         "; only AMD64 and ARM64 ones can be opened"};
  }
  const ByteView context = header.subspan(0x348, layout->size);
  out.context.assign(context.begin(), context.end());
  out.exception = ReadException(header);
  out.type = Field32(header, 0xF98);
  out.system_time = Field64(header, 0xFA8);
  out.comment = ReadComment(header);
  out.up_time = Field64(header, 0x1030);
  out.product_type = Field32(header, 0x1040);
  out.suite_mask = Field32(header, 0x1044);
  out.writer_status = Field32(header, 0x1048);
  out.secondary_version = kd::Load8(header, 0x104D);
  return out;
}

}  // namespace longwire::dump
