#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "proto/error.h"
#include "proto/kd/bytes.h"

namespace longwire::kd {

/// A field of KDDEBUGGER_DATA64 (kd-protocol.md 5.2). Names are those of the structure without the type
/// prefix.
struct DebuggerDataField {
  std::string_view name;
  std::uint16_t offset = 0;
  std::uint8_t size = 0;  ///< 2, 4 or 8
};

inline constexpr std::uint32_t kDebuggerDataTag = 0x4742444B;  ///< "KDBG"
inline constexpr std::size_t kDebuggerDataHeader = 0x18;
inline constexpr std::size_t kMaxDebuggerData = 0x1000;  ///< a larger Size is refused

/// Offsets most used; the rest by name through FindDebuggerDataField.
namespace dd {
inline constexpr std::uint16_t kKernBase = 0x18, kBreakpointWithStatus = 0x20, kSavedContext = 0x28,
                               kPaeEnabled = 0x36, kPsLoadedModuleList = 0x48, kPsActiveProcessHead = 0x50,
                               kPspCidTable = 0x58, kKiBugcheckData = 0x88, kNtBuildLab = 0x208,
                               kKiProcessorBlock = 0x218;
}  // namespace dd

/// All known fields, ordered by offset.
std::span<const DebuggerDataField> DebuggerDataFields();
const DebuggerDataField* FindDebuggerDataField(std::string_view name);

/// The block as read from a target. Fields beyond Size, and beyond the bytes present, are absent.
class DebuggerData {
 public:
  /// First 18 hexadecimal bytes: checks the tag and returns Size, to know how much to read.
  /// Errors: kMalformed (too short, other tag, absurd size).
  static Result<std::uint32_t> ReadSize(ByteView header);
  /// Whole block from offset 0. Bytes beyond Size are dropped. Errors as ReadSize.
  static Result<DebuggerData> Parse(ByteView block);

  std::uint32_t size() const { return size_; }
  /// Field at `offset` of `bytes` (2, 4, 8) width; none when any byte of it is absent.
  std::optional<std::uint64_t> Get(std::size_t offset, std::size_t bytes) const;
  std::optional<std::uint64_t> Get(const DebuggerDataField& field) const {
    return Get(field.offset, field.size);
  }
  std::optional<std::uint64_t> Get(std::string_view name) const;
  /// None if absent.
  std::optional<bool> PaeEnabled() const;
  ByteView bytes() const { return bytes_; }

 private:
  std::uint32_t size_ = 0;
  Bytes bytes_;
};

/// What decoding the encoded block needs: values of KiWaitNever and KiWaitAlways, address of
/// KdpDataBlockEncoded.
struct DebuggerDataKeys {
  std::uint64_t wait_never = 0;
  std::uint64_t wait_always = 0;
  std::uint64_t encoded_flag_address = 0;
};
std::uint64_t DecodeDebuggerDataWord(std::uint64_t encoded, const DebuggerDataKeys& keys);
/// Decodes whole 8-byte words; a rest is copied as it is.
Bytes DecodeDebuggerData(ByteView encoded, const DebuggerDataKeys& keys);

}  // namespace longwire::kd
