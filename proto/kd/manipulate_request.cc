#include <algorithm>

#include "proto/kd/manipulate.h"

namespace longwire::kd {
namespace {

/// A request under construction: header with the union zeroed, then data.
class Request {
 public:
  Request(Api api, std::uint16_t processor, std::uint32_t status = kStatusPending) : bytes_(kManipulateSize) {
    Put(0x00, static_cast<std::uint32_t>(api));
    Put(0x06, processor);
    Put(0x08, status);
  }
  template <class Unsigned>
  Request& Put(std::size_t offset, Unsigned value) {
    Store(std::span<std::byte>(bytes_), offset, value);
    return *this;
  }
  Request& Data(ByteView data) {
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    return *this;
  }
  Bytes Take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

std::uint32_t Size32(ByteView data) { return static_cast<std::uint32_t>(data.size()); }

Bytes Transfer(Api api, std::uint16_t processor, std::uint64_t address, std::uint32_t count,
               std::uint32_t field_1c, ByteView data) {
  return Request(api, processor).Put(0x10, address).Put(0x18, count).Put(0x1C, field_1c).Data(data).Take();
}

Bytes Plain(Api api, std::uint16_t processor = 0) { return Request(api, processor).Take(); }

}  // namespace

bool HasReply(Api api) {
  switch (api) {
    case Api::kContinue:
    case Api::kContinue2:
    case Api::kReboot:
    case Api::kSetSpecialCall:
    case Api::kClearSpecialCalls:
    case Api::kSetInternalBreakpoint:
    case Api::kCauseBugCheck:
    case Api::kSwitchProcessor:
    case Api::kClearAllInternalBreakpoints: return false;
    default: return true;
  }
}

std::uint32_t ReadChunk(std::uint64_t address, std::uint64_t remaining) {
  constexpr std::uint64_t kPage = 0x1000;
  const std::uint64_t to_border = kPage - address % kPage;
  return static_cast<std::uint32_t>(std::min({remaining, to_border, std::uint64_t{kMaxManipulateData}}));
}

Bytes EncodeReadVirtual(std::uint16_t processor, std::uint64_t address, std::uint32_t count) {
  return Transfer(Api::kReadVirtual, processor, address, count, 0, {});
}
Bytes EncodeWriteVirtual(std::uint16_t processor, std::uint64_t address, ByteView data) {
  return Transfer(Api::kWriteVirtual, processor, address, Size32(data), 0, data);
}
Bytes EncodeReadPhysical(std::uint16_t processor, std::uint64_t address, std::uint32_t count,
                         Caching caching) {
  return Transfer(Api::kReadPhysical, processor, address, count, static_cast<std::uint32_t>(caching), {});
}
Bytes EncodeWritePhysical(std::uint16_t processor, std::uint64_t address, ByteView data, Caching caching) {
  return Transfer(Api::kWritePhysical, processor, address, Size32(data), static_cast<std::uint32_t>(caching),
                  data);
}
Bytes EncodeSearchMemory(std::uint64_t start, std::uint64_t length, ByteView pattern) {
  return Request(Api::kSearchMemory, 0)
      .Put(0x10, start)
      .Put(0x18, length)
      .Put(0x20, Size32(pattern))
      .Data(pattern)
      .Take();
}
Bytes EncodeFillMemory(std::uint64_t address, std::uint32_t length, FillTarget target, ByteView pattern) {
  return Request(Api::kFillMemory, 0)
      .Put(0x10, address)
      .Put(0x18, length)
      .Put(0x1C, static_cast<std::uint16_t>(target))
      .Put(0x1E, static_cast<std::uint16_t>(pattern.size()))
      .Data(pattern)
      .Take();
}
Bytes EncodeQueryMemory(std::uint64_t address) {
  return Request(Api::kQueryMemory, 0).Put(0x10, address).Take();
}
Bytes EncodeCheckLowMemory() { return Plain(Api::kCheckLowMemory); }

Bytes EncodeGetContext(std::uint16_t processor) { return Plain(Api::kGetContext, processor); }
Bytes EncodeSetContext(std::uint16_t processor, std::uint32_t flags, ByteView context) {
  return Request(Api::kSetContext, processor).Put(0x10, flags).Data(context).Take();
}
Bytes EncodeGetContextEx(std::uint16_t processor, std::uint32_t offset, std::uint32_t count) {
  return Request(Api::kGetContextEx, processor).Put(0x10, offset).Put(0x14, count).Take();
}
Bytes EncodeSetContextEx(std::uint16_t processor, std::uint32_t offset, ByteView data) {
  return Request(Api::kSetContextEx, processor)
      .Put(0x10, offset)
      .Put(0x14, Size32(data))
      .Put(0x18, Size32(data))
      .Data(data)
      .Take();
}
Bytes EncodeReadControlSpace(std::uint16_t processor, std::uint64_t selector, std::uint32_t count) {
  return Transfer(Api::kReadControlSpace, processor, selector, count, 0, {});
}
Bytes EncodeWriteControlSpace(std::uint16_t processor, std::uint64_t selector, ByteView data) {
  return Transfer(Api::kWriteControlSpace, processor, selector, Size32(data), 0, data);
}
Bytes EncodeReadMsr(std::uint16_t processor, std::uint32_t number) {
  return Request(Api::kReadMsr, processor).Put(0x10, number).Take();
}
Bytes EncodeWriteMsr(std::uint16_t processor, std::uint32_t number, std::uint64_t value) {
  return Request(Api::kWriteMsr, processor)
      .Put(0x10, number)
      .Put(0x14, static_cast<std::uint32_t>(value))
      .Put(0x18, static_cast<std::uint32_t>(value >> 32))
      .Take();
}

Bytes EncodeWriteBreakpoint(std::uint64_t address) {
  return Request(Api::kWriteBreakpoint, 0).Put(0x10, address).Take();
}
Bytes EncodeRestoreBreakpoint(std::uint32_t handle) {
  return Request(Api::kRestoreBreakpoint, 0).Put(0x10, handle).Take();
}
Bytes EncodeWriteBreakpointEx(const std::vector<BreakpointEntry>& entries, std::uint32_t continue_status) {
  Bytes data(entries.size() * 16);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    Store(std::span<std::byte>(data), i * 16, entries[i].address);
    Store(std::span<std::byte>(data), i * 16 + 8, entries[i].handle);
  }
  return Request(Api::kWriteBreakpointEx, 0)
      .Put(0x10, static_cast<std::uint32_t>(entries.size()))
      .Put(0x14, continue_status)
      .Data(data)
      .Take();
}
Bytes EncodeRestoreBreakpointEx(const std::vector<std::uint32_t>& handles, std::uint32_t continue_status) {
  Bytes data(handles.size() * 4);
  for (std::size_t i = 0; i < handles.size(); ++i) Store(std::span<std::byte>(data), i * 4, handles[i]);
  return Request(Api::kRestoreBreakpointEx, 0)
      .Put(0x10, static_cast<std::uint32_t>(handles.size()))
      .Put(0x14, continue_status)
      .Data(data)
      .Take();
}
Bytes EncodeWriteCustomBreakpoint(std::uint64_t address, std::uint64_t instruction,
                                  std::uint8_t instruction_size, std::uint8_t alignment) {
  return Request(Api::kWriteCustomBreakpoint, 0)
      .Put(0x10, address)
      .Put(0x18, instruction)
      .Put(0x24, instruction_size)
      .Put(0x25, alignment)
      .Take();
}
Bytes EncodeSetInternalBreakpoint(std::uint64_t address, std::uint32_t flags) {
  return Request(Api::kSetInternalBreakpoint, 0).Put(0x10, address).Put(0x18, flags).Take();
}
Bytes EncodeGetInternalBreakpoint(std::uint64_t address) {
  return Request(Api::kGetInternalBreakpoint, 0).Put(0x10, address).Take();
}
Bytes EncodeClearAllInternalBreakpoints() { return Plain(Api::kClearAllInternalBreakpoints); }
Bytes EncodeQuerySpecialCalls() { return Plain(Api::kQuerySpecialCalls); }
Bytes EncodeSetSpecialCall(std::uint64_t address) {
  return Request(Api::kSetSpecialCall, 0).Put(0x10, address).Take();
}
Bytes EncodeClearSpecialCalls() { return Plain(Api::kClearSpecialCalls); }

Bytes EncodeReadIoSpace(std::uint64_t port, std::uint32_t size) {
  return Request(Api::kReadIoSpace, 0).Put(0x10, port).Put(0x18, size).Take();
}
Bytes EncodeWriteIoSpace(std::uint64_t port, std::uint32_t size, std::uint32_t value) {
  return Request(Api::kWriteIoSpace, 0).Put(0x10, port).Put(0x18, size).Put(0x1C, value).Take();
}

namespace {

Request Extended(Api api, const ExtendedIo& io) {
  Request request(api, 0);
  request.Put(0x10, io.size)
      .Put(0x14, io.interface_type)
      .Put(0x18, io.bus)
      .Put(0x1C, io.address_space)
      .Put(0x20, io.address);
  return request;
}

Request Bus(Api api, const BusLocation& where, std::uint32_t length) {
  Request request(api, 0);
  request.Put(0x10, where.type)
      .Put(0x14, where.bus)
      .Put(0x18, where.slot)
      .Put(0x1C, where.offset)
      .Put(0x20, length);
  return request;
}

}  // namespace

Bytes EncodeReadIoSpaceExtended(const ExtendedIo& io) {
  return Extended(Api::kReadIoSpaceExtended, io).Take();
}
Bytes EncodeWriteIoSpaceExtended(const ExtendedIo& io, std::uint32_t value) {
  return Extended(Api::kWriteIoSpaceExtended, io).Put(0x28, value).Take();
}
Bytes EncodeGetBusData(const BusLocation& where, std::uint32_t length) {
  return Bus(Api::kGetBusData, where, length).Take();
}
Bytes EncodeSetBusData(const BusLocation& where, ByteView data) {
  return Bus(Api::kSetBusData, where, Size32(data)).Data(data).Take();
}

Bytes EncodeGetVersion(std::uint16_t processor) { return Plain(Api::kGetVersion, processor); }
Bytes EncodeContinue(std::uint16_t processor, std::uint32_t status) {
  return Request(Api::kContinue, processor, status).Put(0x10, status).Take();
}

Bytes EncodeContinue2(Machine machine, std::uint16_t processor, std::uint32_t status, bool trace,
                      std::uint64_t dr7) {
  Request request(Api::kContinue2, processor, status);
  request.Put(0x10, status);
  const std::uint32_t trace_flag = trace ? 1 : 0;
  switch (machine) {
    case Machine::kArm64:
      // The sources disagree whether the flag is at 14 or at 18; both places are harmless (2.6).
      request.Put(0x14, trace_flag).Put(0x18, trace_flag);
      break;
    case Machine::kX86:
    case Machine::kArm:
      request.Put(0x14, trace_flag).Put(0x18, static_cast<std::uint32_t>(dr7)).Put(0x1C, std::uint32_t{1});
      break;
    case Machine::kAmd64:
    case Machine::kUnknown: request.Put(0x14, trace_flag).Put(0x18, dr7).Put(0x20, std::uint64_t{1}); break;
  }
  return request.Take();
}

Bytes EncodeReboot() { return Plain(Api::kReboot); }
Bytes EncodeCauseBugCheck(std::uint32_t code) {
  return Request(Api::kCauseBugCheck, 0).Put(0x10, code).Take();
}
Bytes EncodeSwitchProcessor(std::uint16_t processor) { return Plain(Api::kSwitchProcessor, processor); }
Bytes EncodeSwitchPartition(std::uint32_t partition) {
  return Request(Api::kSwitchPartition, 0).Put(0x10, partition).Take();
}
Bytes EncodePageIn(std::uint64_t address) { return Request(Api::kPageIn, 0).Put(0x10, address).Take(); }

}  // namespace longwire::kd
