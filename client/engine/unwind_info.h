#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/error.h"

namespace longwire {

/// An entry of an x64 exception directory (.pdata), 12 bytes (engine.md 8.1). All members are RVAs.
struct RuntimeFunction {
  std::uint32_t begin = 0, end = 0, unwind = 0;
};
inline constexpr std::size_t kRuntimeFunctionSize = 12;

/// `bytes` holds at least kRuntimeFunctionSize.
RuntimeFunction DecodeRuntimeFunction(std::span<const std::byte, kRuntimeFunctionSize> bytes);

enum class UnwindOperation : std::uint8_t {
  kPushNonvolatile = 0,
  kAllocateLarge = 1,
  kAllocateSmall = 2,
  kSetFramePointer = 3,
  kSaveNonvolatile = 4,
  kSaveNonvolatileFar = 5,
  kEpilog = 6,
  kSpare = 7,
  kSaveXmm128 = 8,
  kSaveXmm128Far = 9,
  kPushMachineFrame = 10,
};

struct UnwindCode {
  std::uint8_t prolog_offset = 0;  ///< end of the instruction inside the prolog
  UnwindOperation operation = UnwindOperation::kPushNonvolatile;
  std::uint8_t info = 0;
  std::uint32_t operand = 0;  ///< bytes to free, or offset of the saved register, already scaled
};

/// An epilog of version 2, relative to the end of the function.
struct UnwindEpilog {
  std::uint32_t distance_from_end = 0;
  std::uint32_t size = 0;
};

/// A decoded UNWIND_INFO (engine.md 8.1), versions 1 and 2.
struct UnwindInfo {
  std::uint8_t version = 0, flags = 0, prolog_size = 0;
  std::uint8_t frame_register = 0;  ///< 0: none
  std::uint32_t frame_offset = 0;   ///< bytes
  std::vector<UnwindCode> codes;    ///< without the epilog codes of version 2; last prolog instruction first
  std::vector<UnwindEpilog> epilogs;
  std::optional<RuntimeFunction> chained;
};

inline constexpr std::size_t kUnwindInfoHeaderSize = 4;
/// Bytes of the whole record for the header's count of codes, chained entry included.
std::size_t UnwindInfoSize(std::span<const std::byte, kUnwindInfoHeaderSize> header);
/// Bytes that suffice for every record.
inline constexpr std::size_t kMaximumUnwindInfoSize = kUnwindInfoHeaderSize + 256 * 2 + kRuntimeFunctionSize;

/// kMalformed: cut short, unknown version or operation, or an operand beyond the codes.
Result<UnwindInfo> ParseUnwindInfo(std::span<const std::byte> bytes);

}  // namespace longwire
