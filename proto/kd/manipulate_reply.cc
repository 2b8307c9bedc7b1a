#include <algorithm>

#include "proto/kd/manipulate.h"

namespace longwire::kd {
namespace {

constexpr std::size_t kStatusEnd = 0x0C;
constexpr std::size_t kVersionSize = 0x28;
/// Where requests name what they are about, and replies echo it (3.3).
constexpr std::size_t kSubjectOffset = 0x10;

/// `actual` is what the target claims to have copied: trusted only up to the request and to the bytes
/// present.
ReadResult Clip(const ManipulateReply& reply, std::uint32_t actual, std::uint32_t requested) {
  ReadResult result;
  result.status = reply.status;
  const std::size_t usable = std::min({std::size_t{actual}, std::size_t{requested}, reply.data.size()});
  result.inconsistent = usable != actual;
  result.data = reply.data.first(usable);
  result.complete = reply.Succeeded() && usable == requested;
  return result;
}

}  // namespace

bool Answers(ByteView reply, ByteView request) {
  if (Load32(reply, 0) != Load32(request, 0)) return false;
  switch (static_cast<Api>(Load32(request, 0))) {
    case Api::kReadVirtual:
    case Api::kWriteVirtual:
    case Api::kReadPhysical:
    case Api::kWritePhysical:
    case Api::kReadControlSpace:
    case Api::kWriteControlSpace:
    case Api::kWriteBreakpoint:
    case Api::kRestoreBreakpoint:
    case Api::kReadIoSpace:
    case Api::kWriteIoSpace:
    case Api::kReadMsr:
    case Api::kWriteMsr: break;
    default: return true;
  }
  // Stubs that clear what they do not fill in are believed.
  const std::uint32_t subject = Load32(reply, kSubjectOffset);
  return subject == 0 || subject == Load32(request, kSubjectOffset);
}

Result<ManipulateReply> DecodeReply(ByteView payload) {
  if (payload.size() < kStatusEnd) {
    return Error{Errc::kMalformed, "the target sent a reply of " + std::to_string(payload.size()) +
                                       " bytes, too short to hold a status"};
  }
  ManipulateReply reply;
  std::copy_n(payload.begin(), std::min(payload.size(), reply.header.size()), reply.header.begin());
  reply.api = static_cast<Api>(Load32(reply.header, 0));
  reply.processor_level = Load16(reply.header, 4);
  reply.processor = Load16(reply.header, 6);
  reply.status = Load32(reply.header, 8);
  if (payload.size() > kManipulateSize) reply.data = payload.subspan(kManipulateSize);
  return reply;
}

ReadResult DecodeRead(const ManipulateReply& reply, std::uint32_t requested) {
  return Clip(reply, Load32(reply.header, 0x1C), requested);
}
ReadResult DecodeBusData(const ManipulateReply& reply, std::uint32_t requested) {
  return Clip(reply, Load32(reply.header, 0x20), requested);
}
ReadResult DecodeContextEx(const ManipulateReply& reply, std::uint32_t requested) {
  return Clip(reply, Load32(reply.header, 0x18), requested);
}
std::uint32_t DecodeWritten(const ManipulateReply& reply, std::uint32_t requested) {
  return std::min(Load32(reply.header, 0x1C), requested);
}

std::uint32_t DecodeBreakpointHandle(const ManipulateReply& reply) { return Load32(reply.header, 0x18); }
std::uint32_t DecodeCustomBreakpointHandle(const ManipulateReply& reply) {
  return Load32(reply.header, 0x20);
}

std::vector<BreakpointEntry> DecodeBreakpointsEx(const ManipulateReply& reply, std::size_t requested) {
  std::vector<BreakpointEntry> entries(std::min(requested, reply.data.size() / 16));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i] = {Load64(reply.data, i * 16), Load32(reply.data, i * 16 + 8)};
  }
  return entries;
}

std::vector<std::uint32_t> DecodeRestoredEx(const ManipulateReply& reply, std::size_t requested) {
  std::vector<std::uint32_t> statuses(std::min(requested, reply.data.size() / 4));
  for (std::size_t i = 0; i < statuses.size(); ++i) statuses[i] = Load32(reply.data, i * 4);
  return statuses;
}

std::uint64_t DecodeMsr(const ManipulateReply& reply) {
  return std::uint64_t{Load32(reply.header, 0x18)} << 32 | Load32(reply.header, 0x14);
}
std::uint32_t DecodeIoValue(const ManipulateReply& reply) { return Load32(reply.header, 0x1C); }
std::uint32_t DecodeIoExtendedValue(const ManipulateReply& reply) { return Load32(reply.header, 0x28); }

std::optional<std::uint64_t> DecodeFound(const ManipulateReply& reply) {
  if (!reply.Succeeded()) return std::nullopt;
  return Load64(reply.header, 0x10);
}

std::vector<std::uint64_t> DecodeSpecialCalls(const ManipulateReply& reply) {
  std::vector<std::uint64_t> calls(std::min<std::size_t>(Load32(reply.header, 0x10), reply.data.size() / 8));
  for (std::size_t i = 0; i < calls.size(); ++i) calls[i] = Load64(reply.data, i * 8);
  return calls;
}

MemoryRegion DecodeQueryMemory(const ManipulateReply& reply) {
  return {Load32(reply.header, 0x20), Load32(reply.header, 0x24)};
}

InternalBreakpoint DecodeInternalBreakpoint(const ManipulateReply& reply) {
  return {Load32(reply.header, 0x18), Load32(reply.header, 0x1C), Load32(reply.header, 0x20),
          Load32(reply.header, 0x24), Load32(reply.header, 0x28), Load32(reply.header, 0x2C)};
}

Version DecodeVersion(const ManipulateReply& reply) {
  return DecodeVersionBlock(ByteView(reply.header).subspan(0x10, kVersionSize));
}

Version DecodeVersionBlock(ByteView block) {
  Version version;
  version.major = Load16(block, 0x00);
  version.build = Load16(block, 0x02);
  version.protocol = Load8(block, 0x04);
  version.secondary = Load8(block, 0x05);
  version.flags = Load16(block, 0x06);
  version.machine = static_cast<Machine>(Load16(block, 0x08));
  version.simulation = Load8(block, 0x0D);
  version.kernel_base = ExtendAddress(version.machine, Load64(block, 0x10));
  version.loaded_module_list = ExtendAddress(version.machine, Load64(block, 0x18));
  version.debugger_data_list = ExtendAddress(version.machine, Load64(block, 0x20));
  return version;
}

}  // namespace longwire::kd
