#pragma once

#include <memory>

#include "server/link/link_port.h"

namespace longwire {

/// Carries the bytes of `port` to `peer` and back, unread and in both directions at once, until either side
/// ends or `peer` is closed; what is in flight one way is at most one buffer. Bytes for a line that is not
/// there (yet) are lost, as on a cable. Errors: why the line ended; none when the peer left.
Awaitable<Result<void>> BridgeLink(Executor executor, std::unique_ptr<LinkPort> port,
                                   std::shared_ptr<Stream> peer);

}  // namespace longwire
