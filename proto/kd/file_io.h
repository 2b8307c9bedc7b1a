#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>

#include "proto/error.h"
#include "proto/kd/bytes.h"

namespace longwire::kd {

/// File I/O, packet type 11 (kd-protocol.md 4.2).
inline constexpr std::size_t kFileIoSize = 0x40;
inline constexpr std::size_t kMaxFileData = 4000 - kFileIoSize;  ///< 3936

struct FileCreate {
  std::uint32_t desired_access = 0;
  std::uint32_t attributes = 0;
  std::uint32_t share = 0;
  std::uint32_t disposition = 0;
  std::uint32_t options = 0;
  std::u16string name;  ///< without NUL, unchecked text of the target
};
struct FileRead {
  std::uint64_t handle = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};
struct FileWrite {
  std::uint64_t handle = 0;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;  ///< clipped to `data`
  ByteView data;             ///< points into the packet
};
struct FileClose {
  std::uint64_t handle = 0;
};
struct FileUnknown {
  std::uint32_t api = 0;  ///< answer with C0000001
};

struct FileRequest {
  std::array<std::byte, kFileIoSize> header{};  ///< the answer reuses it
  std::variant<FileUnknown, FileCreate, FileRead, FileWrite, FileClose> request;
};

/// Errors: kMalformed (shorter than 64 bytes).
Result<FileRequest> DecodeFileRequest(ByteView payload);

/// Status alone: failures of any request, and success of close.
Bytes EncodeFileStatus(const FileRequest& request, std::uint32_t status);
Bytes EncodeFileCreated(const FileRequest& request, std::uint64_t handle, std::uint64_t file_size);
/// `data` is cut to kMaxFileData and to the length asked for; Length says how many bytes follow (0: end of
/// file).
Bytes EncodeFileData(const FileRequest& request, ByteView data);
Bytes EncodeFileWritten(const FileRequest& request, std::uint32_t length);

}  // namespace longwire::kd
