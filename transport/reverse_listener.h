#pragma once

#include "transport/listener.h"
#include "transport/server_security.h"

namespace longwire {

/// The server side of a reverse connection (remote-debugging.md 2.7): dials the client's machine until it
/// answers, serves that one peer, dials again. Without a way for the peer to prove itself it goes no further
/// than this machine, unless `options.open`.
Result<std::unique_ptr<Listener>> ListenReverse(Executor executor, Endpoint endpoint, ListenOptions options,
                                                ServerSecurity security);

/// Whether a server may dial `endpoint.clicon` at all.
Result<void> CheckReverse(const Endpoint& endpoint, const ServerSecurity& security, bool open);

}  // namespace longwire
