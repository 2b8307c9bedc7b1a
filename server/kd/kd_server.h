#pragma once

#include <memory>
#include <optional>

#include "server/kd/control_socket.h"
#include "server/kd/kd_service.h"
#include "transport/listener.h"

namespace longwire {

/// A listener and the KD service behind it: what `kdsrv` runs. Belongs to one single-threaded executor.
class KdServer {
 public:
  KdServer(Executor executor, KdServiceOptions options);
  ~KdServer();

  /// Binds the endpoint. `open`: an unauthenticated tcp server may listen beyond loopback.
  Result<void> Listen(const Endpoint& endpoint, bool open);
  const Endpoint& endpoint() const { return listener_->endpoint(); }  ///< after Listen
  /// Serves until Stop() or until a client ends the server, then leaves every target running without our
  /// breakpoints.
  Awaitable<void> Run();
  void Stop();
  /// After Run(): why a reverse server with retry=0 serves no more; nullopt if it was told to end.
  const std::optional<Error>& ended_by() const { return ended_by_; }
  KdService& service() { return service_; }

 private:
  Executor executor_;
  KdService service_;
  ControlSocket control_;
  std::unique_ptr<Listener> listener_;
  std::optional<Error> ended_by_;
};

}  // namespace longwire
