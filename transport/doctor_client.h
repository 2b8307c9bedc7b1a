#pragma once

#include "proto/diagnosis.h"
#include "transport/server_security.h"

namespace longwire {

/// What a reverse server finds at the machine that clicon names: name, route, whether a client waits at the
/// port, its TLS, password and version. The client is told that this was an examination, and has to wait
/// anew.
Awaitable<void> ExamineWaitingClient(Executor executor, Endpoint endpoint, ServerSecurity security,
                                     Diagnosis& diagnosis);

}  // namespace longwire
