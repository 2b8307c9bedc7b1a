#pragma once

#include <memory>

#include "proto/diagnosis.h"
#include "transport/endpoint.h"
#include "transport/stream.h"

/// For the .cc files of this folder only.
namespace longwire {

/// The steps of a client endpoint up to the bare stream, before TLS; null after a reported failure. For tcp:
/// and ssl: name, route and port; for a pipe of this machine port.
/// `open`: as in DialOptions.
Awaitable<std::unique_ptr<Stream>> ReachServer(Executor executor, Endpoint endpoint, bool open,
                                               Diagnosis& diagnosis);

// The parts of ReachServer(), each in a file of its own.

/// With clicon: name and route of the server's machine, whether the port is free, and who dials in. Waits
/// `connecttimeout=`, 15 s by default.
Awaitable<std::unique_ptr<Stream>> AwaitReverseServer(Executor executor, Endpoint endpoint, bool open,
                                                      Diagnosis& diagnosis);
/// A pipe of another machine: what ssh, or the command of _DBG_PIPE_RSH, fails of.
Awaitable<std::unique_ptr<Stream>> ReachRemotePipe(Executor executor, Endpoint endpoint,
                                                   Diagnosis& diagnosis);
/// com: the steps device, permission, use, line and framing of this end of the line come before port, which
/// is the channel.
Awaitable<std::unique_ptr<Stream>> ReachChannel(Executor executor, Endpoint endpoint, Diagnosis& diagnosis);

}  // namespace longwire
