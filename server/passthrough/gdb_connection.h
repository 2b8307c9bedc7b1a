#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "server/kd/kd_service.h"
#include "server/passthrough/gdb_session.h"
#include "transport/rpc_channel.h"

namespace longwire {

/// The connection of one debugger that speaks the GDB remote protocol: it is a client of the KD service like
/// any other, by way of a memory stream, and the driver `gdb@ADDRESS` of the link. One that disconnects is a
/// lost client. Belongs to the service's executor.
class GdbConnection : public std::enable_shared_from_this<GdbConnection> {
 public:
  /// Until the debugger is gone. `service` must outlive the call.
  static Awaitable<void> Serve(Executor executor, KdService& service, std::string link,
                               std::unique_ptr<Stream> debugger);

  GdbConnection(Executor executor, std::unique_ptr<Stream> debugger, std::unique_ptr<Stream> service);
  ~GdbConnection();

 private:
  Awaitable<void> Run(std::string link);
  static Awaitable<void> TalkToService(std::shared_ptr<GdbConnection> self, std::string link);
  Awaitable<Result<void>> Open(std::string link);
  static Awaitable<void> Write(std::shared_ptr<GdbConnection> self);
  void Ask(rpc::Request request, kd::Bytes bulk, GdbSession::Done done);
  void Take(rpc::Envelope envelope);
  /// After anything that may have made the session speak.
  void AfterWork();

  struct Timer;
  Executor executor_;
  std::unique_ptr<Stream> debugger_;
  std::unique_ptr<RpcChannel> channel_;
  std::map<std::uint64_t, GdbSession::Done> asked_;
  std::uint64_t last_id_ = 0;
  kd::Bytes outgoing_;
  bool writing_ = false;
  std::unique_ptr<Timer> farewell_;
  GdbSession session_;  ///< last: its work uses the others
};

}  // namespace longwire
