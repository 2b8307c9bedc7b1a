#include "proto/kd/file_io.h"

#include <algorithm>

namespace longwire::kd {
namespace {

constexpr std::uint32_t kCreateApi = 0x3430;
constexpr std::uint32_t kReadApi = 0x3431;
constexpr std::uint32_t kWriteApi = 0x3432;
constexpr std::uint32_t kCloseApi = 0x3433;

std::u16string DecodeName(ByteView bytes) {
  std::u16string name;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    const char16_t unit = Load16(bytes, i);
    if (unit == 0) break;
    name.push_back(unit);
  }
  return name;
}

Bytes Answer(const FileRequest& request, std::uint32_t status) {
  Bytes bytes(request.header.begin(), request.header.end());
  Store(std::span<std::byte>(bytes), 0x04, status);
  return bytes;
}

}  // namespace

Result<FileRequest> DecodeFileRequest(ByteView payload) {
  if (payload.size() < kFileIoSize) {
    return Error{Errc::kMalformed, "the target sent a file request of " + std::to_string(payload.size()) +
                                       " bytes, shorter than its header"};
  }
  FileRequest file;
  std::copy_n(payload.begin(), kFileIoSize, file.header.begin());
  const ByteView rest = payload.subspan(kFileIoSize);
  switch (const std::uint32_t api = Load32(payload, 0x00)) {
    case kCreateApi:
      file.request = FileCreate{Load32(payload, 0x08), Load32(payload, 0x0C), Load32(payload, 0x10),
                                Load32(payload, 0x14), Load32(payload, 0x18), DecodeName(rest)};
      break;
    case kReadApi:
      file.request = FileRead{Load64(payload, 0x08), Load64(payload, 0x10), Load32(payload, 0x18)};
      break;
    case kWriteApi: {
      const auto length =
          static_cast<std::uint32_t>(std::min<std::size_t>(Load32(payload, 0x18), rest.size()));
      file.request = FileWrite{Load64(payload, 0x08), Load64(payload, 0x10), length, rest.first(length)};
      break;
    }
    case kCloseApi: file.request = FileClose{Load64(payload, 0x08)}; break;
    default: file.request = FileUnknown{api}; break;
  }
  return file;
}

Bytes EncodeFileStatus(const FileRequest& request, std::uint32_t status) { return Answer(request, status); }

Bytes EncodeFileCreated(const FileRequest& request, std::uint64_t handle, std::uint64_t file_size) {
  Bytes bytes = Answer(request, 0);
  Store(std::span<std::byte>(bytes), 0x20, handle);
  Store(std::span<std::byte>(bytes), 0x28, file_size);
  return bytes;
}

Bytes EncodeFileData(const FileRequest& request, ByteView data) {
  data = data.first(std::min({data.size(), kMaxFileData, std::size_t{Load32(request.header, 0x18)}}));
  Bytes bytes = Answer(request, 0);
  Store(std::span<std::byte>(bytes), 0x18, static_cast<std::uint32_t>(data.size()));
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

Bytes EncodeFileWritten(const FileRequest& request, std::uint32_t length) {
  Bytes bytes = Answer(request, 0);
  Store(std::span<std::byte>(bytes), 0x18, length);
  return bytes;
}

}  // namespace longwire::kd
