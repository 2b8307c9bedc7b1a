#pragma once

#include <memory>

#include "server/link/link_port.h"

namespace longwire {

/// A KDNET target as a link port. Its streams carry the frames of a serial line, with the packet numbers of
/// KDNET: kd::Timers::ForKdnet(kKdnetPayload) tells the link machine. Each session of the target is a stream;
/// one ends with kTargetRestarted when the next one begins. Takes its UDP port, and the right to its key on
/// it, at once. Errors: ReadNetKey, KdnetSocket.
Result<std::unique_ptr<LinkPort>> MakeKdnetPort(Executor executor, const NetLink& link);

/// What a KD packet may carry in a datagram.
extern const std::size_t kKdnetPayload;

}  // namespace longwire
