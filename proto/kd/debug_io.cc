#include "proto/kd/debug_io.h"

#include <algorithm>

namespace longwire::kd {
namespace {

constexpr std::uint32_t kPrintApi = 0x3230;
constexpr std::uint32_t kPromptApi = 0x3231;
constexpr std::size_t kDebugIoSize = 0x10;
constexpr std::size_t kMaxAnswer = 4000 - kDebugIoSize;

}  // namespace

Result<DebugIo> DecodeDebugIo(ByteView payload) {
  if (payload.size() < kDebugIoSize) {
    return Error{Errc::kMalformed, "the target sent a debug print of " + std::to_string(payload.size()) +
                                       " bytes, shorter than its header"};
  }
  DebugIo io;
  const std::uint32_t api = Load32(payload, 0x00);
  if (api != kPrintApi && api != kPromptApi) {
    return Error{Errc::kUnsupported, "the target sent unknown debug I/O number " + std::to_string(api)};
  }
  io.kind = api == kPrintApi ? DebugIo::Kind::kPrint : DebugIo::Kind::kPrompt;
  io.processor_level = Load16(payload, 0x04);
  io.processor = Load16(payload, 0x06);
  const std::uint32_t length = Load32(payload, 0x08);
  const ByteView text =
      payload.subspan(kDebugIoSize).first(std::min<std::size_t>(length, payload.size() - kDebugIoSize));
  io.text.assign(reinterpret_cast<const char*>(text.data()), text.size());
  if (io.kind == DebugIo::Kind::kPrompt) {
    io.prompt_length = length;
    io.max_answer = Load32(payload, 0x0C);
  }
  return io;
}

Bytes EncodePromptAnswer(const DebugIo& prompt, std::string_view answer) {
  answer = answer.substr(0, std::min<std::size_t>(prompt.max_answer, kMaxAnswer));
  Bytes bytes(kDebugIoSize + answer.size());
  const std::span<std::byte> header(bytes);
  Store(header, 0x00, kPromptApi);
  Store(header, 0x04, prompt.processor_level);
  Store(header, 0x06, prompt.processor);
  Store(header, 0x08, prompt.prompt_length);
  Store(header, 0x0C, static_cast<std::uint32_t>(answer.size()));
  const auto text = std::as_bytes(std::span(answer));
  std::copy(text.begin(), text.end(), bytes.begin() + kDebugIoSize);
  return bytes;
}

}  // namespace longwire::kd
