#pragma once

#include <cstdint>

#include "proto/error.h"
#include "proto/kd/bytes.h"

namespace longwire::kd {

/// Trace I/O, packet type 9 (kd-protocol.md 4.3): event-trace buffers a host may discard.
struct TraceIo {
  std::uint16_t processor = 0;
  ByteView data;  ///< points into the packet, clipped to what is present
};

/// Errors: kMalformed (shorter than 64 bytes), kUnsupported (unknown API number).
Result<TraceIo> DecodeTraceIo(ByteView payload);

}  // namespace longwire::kd
