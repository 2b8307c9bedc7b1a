#pragma once

#include <memory>

#include "server/kd/kd_service.h"
#include "transport/stream.h"

namespace longwire {

/// Serves the one peer behind the stream with a KD service of its own, on the executor: how a program that is
/// its own server starts one. What is returned keeps the service alive and ends it when released, on the
/// executor's thread.
std::shared_ptr<KdService> StartLocalService(Executor executor, std::unique_ptr<Stream> stream,
                                             KdServiceOptions options = {});

}  // namespace longwire
