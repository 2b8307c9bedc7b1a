#pragma once

#include <utility>

#include "transport/stream.h"

namespace longwire {

/// Two ends of an in-process stream on one executor; `capacity` bytes fit in flight each way, then writers
/// wait.
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> MakeMemoryStreams(Executor executor,
                                                                              std::size_t capacity = 1u
                                                                                                     << 20);

}  // namespace longwire
