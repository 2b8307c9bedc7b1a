#pragma once

#include <optional>

#include "proto/kd/bytes.h"

namespace longwire::kd {

/// Packets as links without a byte stream carry them, one packet without the trailing byte or one break-in
/// byte at a time, against the stream of a serial line, which is what the link machine speaks
/// (kd-protocol.md 6.6, 7.2).

/// The frame of `body`, with its trailing byte; what follows the first packet is ignored. Empty: not a
/// packet.
Bytes FrameOf(ByteView body);
/// Takes the next packet or break-in byte off the front of `stream`, which holds whole ones as the link
/// machine wrote them. nullopt at the end, or when what stands there is neither.
std::optional<Bytes> NextBody(ByteView& stream);

}  // namespace longwire::kd
