#pragma once

#include <memory>

#include "server/link/firewire_bus.h"
#include "server/link/link_port.h"

namespace longwire {

/// A target on an IEEE 1394 bus as a link port; its streams carry the frames of a serial line. Opening waits
/// for a machine that waits for a debugger on the channel; when that is cancelled, the error says what was
/// found instead. Errors: no controller, a protocol of old targets (`symlink=channel`).
Result<std::unique_ptr<LinkPort>> MakeFirewirePort(Executor executor, const FirewireLink& link,
                                                   std::unique_ptr<FirewireBus> bus);

}  // namespace longwire
