#pragma once

#include "proto/kd/bare_packet.h"
#include "proto/kdnet/cipher.h"

namespace longwire::kdnet {

/// Bodies of data datagrams (kd-protocol.md 6.6).
using kd::FrameOf;
using kd::NextBody;

/// The twelve bytes a target begins a session with, to be answered with a RESEND.
bool IsGreeting(ByteView body);

}  // namespace longwire::kdnet
