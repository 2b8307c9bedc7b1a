#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "proto/error.h"
#include "proto/kd/bytes.h"
#include "proto/kd/machine.h"

namespace longwire::kd {

/// State manipulation, packet type 2 (kd-protocol.md 3.1 to 3.3). Encoders make whole request payloads;
/// fields the protocol leaves unused are zero, ReturnStatus is 0x103 as WinDbg sends it (Continue: the
/// continue status).
inline constexpr std::size_t kManipulateSize = 0x38;
inline constexpr std::size_t kMaxManipulateData = 4000 - kManipulateSize;  ///< 3944
inline constexpr std::uint32_t kBreakpointSlots = 32;                      ///< handles 1..32

enum class Api : std::uint32_t {
  kReadVirtual = 0x3130,
  kWriteVirtual = 0x3131,
  kGetContext = 0x3132,
  kSetContext = 0x3133,
  kWriteBreakpoint = 0x3134,
  kRestoreBreakpoint = 0x3135,
  kContinue = 0x3136,
  kReadControlSpace = 0x3137,
  kWriteControlSpace = 0x3138,
  kReadIoSpace = 0x3139,
  kWriteIoSpace = 0x313A,
  kReboot = 0x313B,
  kContinue2 = 0x313C,
  kReadPhysical = 0x313D,
  kWritePhysical = 0x313E,
  kQuerySpecialCalls = 0x313F,
  kSetSpecialCall = 0x3140,
  kClearSpecialCalls = 0x3141,
  kSetInternalBreakpoint = 0x3142,
  kGetInternalBreakpoint = 0x3143,
  kReadIoSpaceExtended = 0x3144,
  kWriteIoSpaceExtended = 0x3145,
  kGetVersion = 0x3146,
  kWriteBreakpointEx = 0x3147,
  kRestoreBreakpointEx = 0x3148,
  kCauseBugCheck = 0x3149,
  kSwitchProcessor = 0x3150,
  kPageIn = 0x3151,
  kReadMsr = 0x3152,
  kWriteMsr = 0x3153,
  kSearchMemory = 0x3156,
  kGetBusData = 0x3157,
  kSetBusData = 0x3158,
  kCheckLowMemory = 0x3159,
  kClearAllInternalBreakpoints = 0x315A,
  kFillMemory = 0x315B,
  kQueryMemory = 0x315C,
  kSwitchPartition = 0x315D,
  kWriteCustomBreakpoint = 0x315E,
  kGetContextEx = 0x315F,
  kSetContextEx = 0x3160,
};

/// False for the APIs completed by the acknowledge alone: send these with LinkMachine::SendNoReply (3.2
/// "none").
bool HasReply(Api api);

/// NTSTATUS values of 3.7.
inline constexpr std::uint32_t kStatusSuccess = 0;
inline constexpr std::uint32_t kStatusPending = 0x103;
inline constexpr std::uint32_t kStatusUnsuccessful = 0xC0000001;
inline constexpr std::uint32_t kStatusNotImplemented = 0xC0000002;
inline constexpr std::uint32_t kStatusInvalidHandle = 0xC0000008;
inline constexpr std::uint32_t kStatusInvalidParameter = 0xC000000D;
inline constexpr std::uint32_t kStatusNoSuchFile = 0xC000000F;
inline constexpr std::uint32_t kStatusAccessDenied = 0xC0000022;
constexpr bool IsFailure(std::uint32_t status) { return (status & 0x80000000u) != 0; }

/// ContinueStatus values (2.6).
inline constexpr std::uint32_t kContinue = 0x00010002;
inline constexpr std::uint32_t kExceptionHandled = 0x00010001;
inline constexpr std::uint32_t kExceptionNotHandled = 0x80010001;

enum class Caching : std::uint32_t { kDefault = 0, kCached = 1, kUncached = 2, kWriteCombined = 3 };

/// Largest sensible next read of a range: at most kMaxManipulateData and not across the next 4 KiB page
/// border (3.6, H40).
std::uint32_t ReadChunk(std::uint64_t address, std::uint64_t remaining);

// Memory. `data.size()` of writes and `count` of reads: at most kMaxManipulateData.
Bytes EncodeReadVirtual(std::uint16_t processor, std::uint64_t address, std::uint32_t count);
Bytes EncodeWriteVirtual(std::uint16_t processor, std::uint64_t address, ByteView data);
Bytes EncodeReadPhysical(std::uint16_t processor, std::uint64_t address, std::uint32_t count,
                         Caching caching = Caching::kDefault);
Bytes EncodeWritePhysical(std::uint16_t processor, std::uint64_t address, ByteView data,
                          Caching caching = Caching::kDefault);
Bytes EncodeSearchMemory(std::uint64_t start, std::uint64_t length, ByteView pattern);
enum class FillTarget : std::uint16_t { kVirtual = 1, kPhysical = 2 };
Bytes EncodeFillMemory(std::uint64_t address, std::uint32_t length, FillTarget target, ByteView pattern);
Bytes EncodeQueryMemory(std::uint64_t address);
Bytes EncodeCheckLowMemory();

// Registers.
Bytes EncodeGetContext(std::uint16_t processor);
Bytes EncodeSetContext(std::uint16_t processor, std::uint32_t flags, ByteView context);
Bytes EncodeGetContextEx(std::uint16_t processor, std::uint32_t offset, std::uint32_t count);
/// One chunk with BytesCopied = its size, which every known target commits at once (3.6).
Bytes EncodeSetContextEx(std::uint16_t processor, std::uint32_t offset, ByteView data);
Bytes EncodeReadControlSpace(std::uint16_t processor, std::uint64_t selector, std::uint32_t count);
Bytes EncodeWriteControlSpace(std::uint16_t processor, std::uint64_t selector, ByteView data);
Bytes EncodeReadMsr(std::uint16_t processor, std::uint32_t number);
Bytes EncodeWriteMsr(std::uint16_t processor, std::uint32_t number, std::uint64_t value);

// Breakpoints.
struct BreakpointEntry {
  std::uint64_t address = 0;
  std::uint32_t handle = 0;
};
Bytes EncodeWriteBreakpoint(std::uint64_t address);
Bytes EncodeRestoreBreakpoint(std::uint32_t handle);
Bytes EncodeWriteBreakpointEx(const std::vector<BreakpointEntry>& entries, std::uint32_t continue_status);
Bytes EncodeRestoreBreakpointEx(const std::vector<std::uint32_t>& handles, std::uint32_t continue_status);
Bytes EncodeWriteCustomBreakpoint(std::uint64_t address, std::uint64_t instruction,
                                  std::uint8_t instruction_size, std::uint8_t alignment);
Bytes EncodeSetInternalBreakpoint(std::uint64_t address, std::uint32_t flags);
Bytes EncodeGetInternalBreakpoint(std::uint64_t address);
Bytes EncodeClearAllInternalBreakpoints();
Bytes EncodeQuerySpecialCalls();
Bytes EncodeSetSpecialCall(std::uint64_t address);
Bytes EncodeClearSpecialCalls();

// Buses and ports.
Bytes EncodeReadIoSpace(std::uint64_t port, std::uint32_t size);
Bytes EncodeWriteIoSpace(std::uint64_t port, std::uint32_t size, std::uint32_t value);
struct ExtendedIo {
  std::uint32_t size = 1;            ///< 1, 2, 4
  std::uint32_t interface_type = 1;  ///< 1 ISA, 5 PCI
  std::uint32_t bus = 0;
  std::uint32_t address_space = 1;  ///< 0 memory, 1 port
  std::uint64_t address = 0;
};
Bytes EncodeReadIoSpaceExtended(const ExtendedIo& io);
Bytes EncodeWriteIoSpaceExtended(const ExtendedIo& io, std::uint32_t value);
struct BusLocation {
  std::uint32_t type = 4;  ///< 4: PCI configuration
  std::uint32_t bus = 0;
  std::uint32_t slot = 0;  ///< device in bits 0-4, function in bits 5-7
  std::uint32_t offset = 0;
};
Bytes EncodeGetBusData(const BusLocation& where, std::uint32_t length);
Bytes EncodeSetBusData(const BusLocation& where, ByteView data);

// Control.
Bytes EncodeGetVersion(std::uint16_t processor = 0);
Bytes EncodeContinue(std::uint16_t processor, std::uint32_t status);
/// Continue2 laid out for `machine` (2.6). `dr7` is used on AMD64 and x86 only.
Bytes EncodeContinue2(Machine machine, std::uint16_t processor, std::uint32_t status, bool trace,
                      std::uint64_t dr7);
Bytes EncodeReboot();
Bytes EncodeCauseBugCheck(std::uint32_t code);
Bytes EncodeSwitchProcessor(std::uint16_t processor);
Bytes EncodeSwitchPartition(std::uint32_t partition);
Bytes EncodePageIn(std::uint64_t address);

/// A reply, its header taken apart. Short replies of stubs are filled with zeros up to 56 bytes. The views
/// point into the packet that was decoded.
struct ManipulateReply {
  Api api{};
  std::uint16_t processor_level = 0;
  std::uint16_t processor = 0;
  std::uint32_t status = 0;
  std::array<std::byte, kManipulateSize> header{};  ///< offsets of 3.3 apply
  ByteView data;                                    ///< what follows the 56 bytes

  bool Succeeded() const { return !IsFailure(status); }
};

/// False when `reply` is known to belong to another request: one that was given up may be answered after a
/// RESET, when another of its kind waits.
bool Answers(ByteView reply, ByteView request);

/// Errors: kMalformed when shorter than the 12 bytes that end in ReturnStatus.
Result<ManipulateReply> DecodeReply(ByteView payload);

/// Result of a read: bytes that may be used, clipped to what was asked for and to what is present (H41 to
/// H43).
struct ReadResult {
  std::uint32_t status = 0;
  ByteView data;              ///< the readable prefix
  bool complete = false;      ///< status is success and all bytes are there
  bool inconsistent = false;  ///< ActualBytes lied; for the log
};
/// ReadVirtual, ReadPhysical, ReadControlSpace: `requested` is the count of the request.
ReadResult DecodeRead(const ManipulateReply& reply, std::uint32_t requested);
/// GetBusData (length at 20) and GetContextEx (BytesCopied at 18), same rules.
ReadResult DecodeBusData(const ManipulateReply& reply, std::uint32_t requested);
ReadResult DecodeContextEx(const ManipulateReply& reply, std::uint32_t requested);

/// WriteVirtual, WritePhysical, WriteControlSpace: bytes taken, never more than `requested`.
std::uint32_t DecodeWritten(const ManipulateReply& reply, std::uint32_t requested);

std::uint32_t DecodeBreakpointHandle(const ManipulateReply& reply);        ///< WriteBreakpoint
std::uint32_t DecodeCustomBreakpointHandle(const ManipulateReply& reply);  ///< WriteCustomBreakpoint
std::vector<BreakpointEntry> DecodeBreakpointsEx(const ManipulateReply& reply, std::size_t requested);
std::vector<std::uint32_t> DecodeRestoredEx(const ManipulateReply& reply,
                                            std::size_t requested);  ///< statuses
std::uint64_t DecodeMsr(const ManipulateReply& reply);
std::uint32_t DecodeIoValue(const ManipulateReply& reply);          ///< ReadIoSpace
std::uint32_t DecodeIoExtendedValue(const ManipulateReply& reply);  ///< ReadIoSpaceExtended
std::optional<std::uint64_t> DecodeFound(
    const ManipulateReply& reply);  ///< SearchMemory; failure of any kind: none
std::vector<std::uint64_t> DecodeSpecialCalls(const ManipulateReply& reply);

struct MemoryRegion {
  std::uint32_t space = 0;  ///< 0 process, 1 session, 2 kernel
  std::uint32_t flags = 0;  ///< 1 read, 2 write, 4 execute, 8 fixed
};
MemoryRegion DecodeQueryMemory(const ManipulateReply& reply);

struct InternalBreakpoint {
  std::uint32_t flags = 0, calls = 0, max_calls_per_period = 0, min_instructions = 0, max_instructions = 0;
  std::uint32_t total_instructions = 0;
};
InternalBreakpoint DecodeInternalBreakpoint(const ManipulateReply& reply);

/// GetVersion (3.4).
struct Version {
  static constexpr std::uint16_t kMultiprocessor = 1, kHasData = 2, kPointer64 = 4;

  std::uint16_t major = 0;  ///< low byte 0F free, 0C checked build; high byte target class
  std::uint16_t build = 0;
  std::uint8_t protocol = 0;
  std::uint8_t secondary = 0;
  std::uint16_t flags = 0;
  Machine machine = Machine::kUnknown;
  std::uint8_t simulation = 0;
  std::uint64_t kernel_base = 0;         ///< sign-extended on 32-bit targets, like the other two
  std::uint64_t loaded_module_list = 0;  ///< address of the list head
  std::uint64_t debugger_data_list = 0;  ///< address of a LIST_ENTRY whose Flink is the block; 0: none

  bool IsCheckedBuild() const { return (major & 0xFF) == 0x0C; }
  std::uint8_t TargetClass() const { return static_cast<std::uint8_t>(major >> 8); }
  bool IsBootApplication() const { return TargetClass() == 4; }
  bool HasDebuggerData() const { return debugger_data_list != 0; }
};
Version DecodeVersion(const ManipulateReply& reply);
/// The 40 bytes of a version structure found in memory (KPCR's KdVersionBlock, 5.3).
Version DecodeVersionBlock(ByteView block);

}  // namespace longwire::kd
