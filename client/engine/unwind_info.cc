#include "client/engine/unwind_info.h"

namespace longwire {
namespace {

constexpr std::uint8_t kFlagChained = 4;

std::uint32_t Load16(std::span<const std::byte> bytes, std::size_t offset) {
  return std::to_integer<std::uint32_t>(bytes[offset]) | std::to_integer<std::uint32_t>(bytes[offset + 1])
                                                             << 8;
}

std::uint32_t Load32(std::span<const std::byte> bytes, std::size_t offset) {
  return Load16(bytes, offset) | Load16(bytes, offset + 2) << 16;
}

Error Malformed(const char* what) {
  return {Errc::kMalformed,
          std::string("unwind data is malformed: ") + what + "; check that image and target agree"};
}

// Slots of the code array an operation takes; 0: not a valid operation.
std::size_t SlotCount(unsigned version, unsigned operation, unsigned info) {
  switch (operation) {
    case 0:
    case 2:
    case 3:
    case 10: return 1;
    case 1: return info == 0 ? 2 : info == 1 ? 3 : 0;
    case 4:
    case 8: return 2;
    case 5:
    case 9: return 3;
    case 6: return version == 1 ? 2 : 1;
    case 7: return version == 1 ? 3 : 2;
    default: return 0;
  }
}

std::uint32_t Operand(UnwindOperation operation, unsigned info, std::span<const std::byte> slots) {
  switch (operation) {
    case UnwindOperation::kAllocateSmall: return info * 8 + 8;
    case UnwindOperation::kAllocateLarge: return info == 0 ? Load16(slots, 2) * 8 : Load32(slots, 2);
    case UnwindOperation::kSaveNonvolatile: return Load16(slots, 2) * 8;
    case UnwindOperation::kSaveXmm128: return Load16(slots, 2) * 16;
    case UnwindOperation::kSaveNonvolatileFar:
    case UnwindOperation::kSaveXmm128Far: return Load32(slots, 2);
    default: return 0;
  }
}

// The leading EPILOG codes: the first gives the size, the others one epilog each.
void AddEpilog(UnwindInfo& unwind, bool first, std::uint32_t& size, std::uint32_t offset,
               std::uint32_t info) {
  if (first) {
    size = offset;
    if (info & 1) unwind.epilogs.push_back({size, size});
    return;
  }
  const std::uint32_t distance = offset | info << 8;
  if (distance != 0) unwind.epilogs.push_back({distance, size});
}

}  // namespace

RuntimeFunction DecodeRuntimeFunction(std::span<const std::byte, kRuntimeFunctionSize> bytes) {
  return {Load32(bytes, 0), Load32(bytes, 4), Load32(bytes, 8)};
}

std::size_t UnwindInfoSize(std::span<const std::byte, kUnwindInfoHeaderSize> header) {
  const std::size_t count = std::to_integer<std::size_t>(header[2]);
  const bool chained = std::to_integer<unsigned>(header[0]) >> 3 & kFlagChained;
  return kUnwindInfoHeaderSize + (count + 1) / 2 * 4 + (chained ? kRuntimeFunctionSize : 0);
}

Result<UnwindInfo> ParseUnwindInfo(std::span<const std::byte> bytes) {
  if (bytes.size() < kUnwindInfoHeaderSize) return Malformed("header cut short");
  UnwindInfo unwind;
  unwind.version = std::to_integer<std::uint8_t>(bytes[0]) & 7;
  unwind.flags = std::to_integer<std::uint8_t>(bytes[0]) >> 3;
  unwind.prolog_size = std::to_integer<std::uint8_t>(bytes[1]);
  unwind.frame_register = std::to_integer<std::uint8_t>(bytes[3]) & 15;
  unwind.frame_offset = (std::to_integer<std::uint32_t>(bytes[3]) >> 4) * 16;
  if (unwind.version != 1 && unwind.version != 2) return Malformed("unknown version");
  if (bytes.size() < UnwindInfoSize(bytes.first<kUnwindInfoHeaderSize>()))
    return Malformed("codes cut short");
  const std::size_t count = std::to_integer<std::size_t>(bytes[2]);
  bool first_epilog = true;
  std::uint32_t epilog_size = 0;
  for (std::size_t i = 0; i < count;) {
    const std::span<const std::byte> slots = bytes.subspan(kUnwindInfoHeaderSize + i * 2, (count - i) * 2);
    const unsigned offset = std::to_integer<unsigned>(slots[0]);
    const unsigned operation = std::to_integer<unsigned>(slots[1]) & 15;
    const unsigned info = std::to_integer<unsigned>(slots[1]) >> 4;
    const std::size_t taken = SlotCount(unwind.version, operation, info);
    if (taken == 0) return Malformed("unknown operation");
    if (taken * 2 > slots.size()) return Malformed("operand beyond the codes");
    i += taken;
    if (operation == 6 && unwind.version == 2) {
      AddEpilog(unwind, first_epilog, epilog_size, offset, info);
      first_epilog = false;
      continue;
    }
    const auto kind = static_cast<UnwindOperation>(operation);
    unwind.codes.push_back({static_cast<std::uint8_t>(offset), kind, static_cast<std::uint8_t>(info),
                            Operand(kind, info, slots)});
  }
  if (unwind.flags & kFlagChained) {
    const std::size_t end = kUnwindInfoHeaderSize + (count + 1) / 2 * 4;
    unwind.chained = DecodeRuntimeFunction(bytes.subspan(end).first<kRuntimeFunctionSize>());
  }
  return unwind;
}

}  // namespace longwire
