#pragma once

#include "proto/diagnosis.h"
#include "transport/endpoint.h"
#include "transport/stream.h"

namespace longwire {

/// Examines what a server is to listen on: certificate, port or pipe name, who has it already. With
/// clicon, the client that waits there, which has to wait anew then. Nothing stays open. `open` as in
/// ListenOptions.
Awaitable<void> ExamineListening(Executor executor, Endpoint endpoint, bool open, Diagnosis& diagnosis);

}  // namespace longwire
