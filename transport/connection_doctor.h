#pragma once

#include <memory>

#include "proto/diagnosis.h"
#include "transport/endpoint.h"
#include "transport/rpc_channel.h"

namespace longwire {

/// A connection that passed every step.
struct ExaminedConnection {
  std::unique_ptr<RpcChannel> channel;  ///< null: a step failed and was reported
  rpc::Welcome welcome;
};

/// Walks a client endpoint from the name to the version of the server, telling each step. At the first
/// failure it may connect a second time in another way, to tell what the server wants instead; it sends
/// nothing but greetings. `open` as in DialOptions. Each step has a deadline of a few seconds. `diagnosis`
/// must outlive the call.
Awaitable<ExaminedConnection> ExamineConnection(Executor executor, Endpoint endpoint, rpc::Hello hello,
                                                bool open, Diagnosis& diagnosis);

/// Has the server examine `link` and passes its steps on, from the device to the target.
Awaitable<void> ExamineRemoteLink(RpcChannel& channel, rpc::Welcome welcome, std::string link,
                                  Diagnosis& diagnosis);

}  // namespace longwire
