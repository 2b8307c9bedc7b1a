#pragma once

#include "transport/client_security.h"
#include "transport/listener.h"

namespace longwire {

/// The client side of a reverse connection (remote-debugging.md 2.7): listens until the server that clicon
/// names dials in. `security` must outlive the call.
Awaitable<Result<std::unique_ptr<Stream>>> AwaitServer(Executor executor, Endpoint endpoint,
                                                       DialOptions options, const ClientSecurity& security);

}  // namespace longwire
