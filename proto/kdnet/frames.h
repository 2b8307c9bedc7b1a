#pragma once

#include <optional>

#include "proto/kdnet/cipher.h"

namespace longwire::kdnet {

/// Bodies of data datagrams against the byte stream of a serial line, which is what the link machine speaks
/// (kd-protocol.md 6.6): one datagram carries one packet without the trailing byte, or one break-in byte.

/// The frame of `body`, with its trailing byte; what follows the first packet is ignored. Empty: not a
/// packet.
Bytes FrameOf(ByteView body);
/// Takes the next packet or break-in byte off the front of `stream`, which holds whole ones as the link
/// machine wrote them. nullopt at the end, or when what stands there is neither.
std::optional<Bytes> NextBody(ByteView& stream);
/// The twelve bytes a target begins a session with, to be answered with a RESEND.
bool IsGreeting(ByteView body);

}  // namespace longwire::kdnet
