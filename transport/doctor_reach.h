#pragma once

#include <memory>

#include "proto/diagnosis.h"
#include "transport/endpoint.h"
#include "transport/stream.h"

namespace longwire {

/// The steps name, route and port of a client endpoint: the bare stream, or null after a reported failure.
/// Only for tcp: and ssl: without clicon, and pipes of this machine (CanReach).
Awaitable<std::unique_ptr<Stream>> ReachServer(Executor executor, Endpoint endpoint, Diagnosis& diagnosis);
bool CanReach(const Endpoint& endpoint);

}  // namespace longwire
