#include "proto/dump/kernel_dump.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace longwire::dump {
namespace {

constexpr std::uint32_t kTypeFull = 1, kTypeHeaderOnly = 3, kTypeTriage = 4;

std::string Hexadecimal(std::uint32_t value) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4) text += kDigits[value >> shift & 15];
  return text;
}

}  // namespace

Result<KernelDump> KernelDump::Open(std::unique_ptr<DumpFile> file) {
  Result<KernelHeader> header = ReadKernelHeader(*file);
  if (!header) return header.error();
  KernelDump dump;
  dump.file_ = std::move(file);
  dump.header_ = std::move(*header);
  const kd::Bytes mark_bytes = dump.file_->ReadBytes(dump.header_.payload, 8);
  const std::string_view mark(reinterpret_cast<const char*>(mark_bytes.data()), mark_bytes.size());
  Result<PageMap> pages = Error{};
  // The payload says what it is; DumpType alone has been wrong before (engine.md 1.3).
  if (mark == "SDMPDUMP" || mark == "FDMPDUMP") {
    dump.kind_ = mark == "FDMPDUMP" ? "complete bitmap dump" : "kernel bitmap dump";
    pages = PageMap::OfBitmap(*dump.file_, dump.header_);
  } else if (mark.size() == 8 && mark.substr(4) == "RDMP") {
    dump.kind_ = "page range dump";
    pages = PageMap::OfRanges(*dump.file_, dump.header_);
  } else if (dump.header_.type == kTypeTriage) {
    dump.kind_ = "triage dump";
    Result<Triage> triage = Triage::Read(*dump.file_, dump.header_);
    if (!triage) return triage.error();
    dump.warnings_ = triage->warnings();
    dump.triage_ = std::move(*triage);
  } else if (dump.header_.type == kTypeFull) {
    dump.kind_ = "full dump";
    pages = PageMap::OfRuns(*dump.file_, dump.header_);
  } else if (dump.header_.type == kTypeHeaderOnly) {
    dump.kind_ = "dump of a header only";
  } else {
    return Error{Errc::kUnsupported, "the dump has the type " + std::to_string(dump.header_.type) +
                                         ", whose layout is not known"};
  }
  if (!dump.triage_ && dump.header_.type != kTypeHeaderOnly) {
    if (!pages) return pages.error();
    if (!pages->warning().empty()) dump.warnings_.push_back(pages->warning());
    dump.pages_ = std::move(*pages);
  }
  if (dump.header_.writer_status != 0) {
    dump.warnings_.push_back("the dump was not written to its end (status " +
                             Hexadecimal(dump.header_.writer_status) + ")");
  }
  return dump;
}

std::size_t KernelDump::ReadPhysical(std::uint64_t address, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (pages_ && done < out.size()) {
    const std::uint64_t at = address + done;
    const auto offset = pages_->Find(at / kPageBytes);
    if (!offset) break;
    const std::size_t wanted = std::min<std::size_t>(out.size() - done, kPageBytes - at % kPageBytes);
    const std::size_t read = file_->Read(*offset + at % kPageBytes, out.subspan(done, wanted));
    done += read;
    if (read < wanted) break;
  }
  return done;
}

std::size_t KernelDump::ReadVirtual(std::uint64_t address, std::span<std::byte> out) const {
  return triage_ ? triage_->ReadVirtual(*file_, address, out) : 0;
}

}  // namespace longwire::dump
