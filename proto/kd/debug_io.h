#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/error.h"
#include "proto/kd/bytes.h"

namespace longwire::kd {

/// Debug I/O, packet type 3 (kd-protocol.md 4.1). Text is 8-bit, unescaped, untrusted: clean it before a
/// terminal sees it.
struct DebugIo {
  enum class Kind : std::uint8_t { kPrint, kPrompt };
  Kind kind = Kind::kPrint;
  std::uint16_t processor_level = 0;
  std::uint16_t processor = 0;
  std::string text;                 ///< clipped to the bytes present
  std::uint32_t max_answer = 0;     ///< kPrompt: bytes the target accepts
  std::uint32_t prompt_length = 0;  ///< kPrompt: as sent; the answer repeats it
};

/// Errors: kMalformed (shorter than 16 bytes), kUnsupported (unknown API number).
Result<DebugIo> DecodeDebugIo(ByteView payload);

/// Answer to `prompt` (type 3): its header echoed, the text cut to max_answer and to one packet.
Bytes EncodePromptAnswer(const DebugIo& prompt, std::string_view answer);

}  // namespace longwire::kd
