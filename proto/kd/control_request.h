#pragma once

#include <cstdint>

#include "proto/error.h"
#include "proto/kd/bytes.h"

namespace longwire::kd {

/// Control request, packet type 10 (kd-protocol.md 4.4): the target asks for a hardware breakpoint slot.
struct ControlRequest {
  enum class Kind : std::uint8_t { kRequestBreakpoint, kReleaseBreakpoint };
  Kind kind = Kind::kRequestBreakpoint;
  std::uint32_t breakpoint = 0;
};

/// Errors: kMalformed (shorter than 8 bytes), kUnsupported (unknown API number).
Result<ControlRequest> DecodeControlRequest(ByteView payload);
/// The host's answer (type 10): `granted` is Available or Released.
Bytes EncodeControlAnswer(const ControlRequest& request, bool granted);

}  // namespace longwire::kd
