#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "client/target/interrupt.h"
#include "client/target/reconnection.h"
#include "client/target/target.h"
#include "proto/error.h"
#include "proto/rpc/messages.h"
#include "transport/kernel_string.h"
#include "transport/stream.h"

namespace longwire {

/// Starts a KD service for the peer behind the stream, on the executor. What it returns keeps the service
/// alive and ends it when released, on the executor's thread.
using LocalService = std::function<std::shared_ptr<void>(Executor, std::unique_ptr<Stream>)>;

struct ConnectOptions {
  bool break_in = false;         ///< -bonc
  bool break_on_reboot = false;  ///< -b
  std::string software;          ///< "longwire 0.1.0"
  bool open = false;             ///< -open: wait for a server on another machine without a password
  /// What a reverse connection waits for and whom it refused; called on the connection's thread. May be
  /// empty.
  std::function<void(const std::string& line)> notice;
  bool observe = false;  ///< --observe: watch, never drive
  rpc::WhenBusy when_busy = rpc::WhenBusy::kRefuse;
  /// --since: what the target printed before; 0 ms: all that the server has.
  std::optional<std::chrono::milliseconds> since;
  std::chrono::seconds resume_wait{120};  ///< --resume-wait; 0: a lost connection is lost for good
  /// What becomes of the connection to a server. Called on the caller's thread, from inside calls of the
  /// target. May be empty.
  std::function<void(const ConnectionNews&)> news;
  /// The place in the line, while ConnectTarget waits for a link in use. May be empty.
  std::function<void(const rpc::LinkQueued&)> queued;
  LocalService serve_locally;  ///< for links of this process; empty: not available
};

/// Connects to the KD connection server the string names, or to a service hosted in this process, and opens
/// the link. The target itself may answer later. `interrupt` must outlive the target. Errors: those of the
/// dial and the hello (kUsage, kUnreachable, kTimedOut, kAuthentication, kVersionMismatch), then those of the
/// link (kLinkFailed, kLinkInUse).
Result<std::unique_ptr<Target>> ConnectTarget(const KernelString& kernel, const ConnectOptions& options,
                                              Interrupt& interrupt);

/// Who this client says it is: role, software, user and host.
rpc::Hello MakeHello(const std::string& software);

}  // namespace longwire
