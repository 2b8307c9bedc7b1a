#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/endpoint.h"
#include "transport/stream.h"

namespace longwire {

/// One listening socket, without TLS or password: for kernel links (`com:pipe,listen`) and as the ground of
/// Listener.
class Acceptor {
 public:
  virtual ~Acceptor() = default;
  /// One peer. kCancelled after Close(); any other error (EMFILE ...) passes, so wait a little and call
  /// again.
  virtual Awaitable<Result<std::unique_ptr<Stream>>> Accept() = 0;
  virtual void Close() noexcept = 0;
};

struct TcpBinding {
  std::string address;            ///< empty: every address of the host
  bool loopback_only = false;     ///< with an empty address: 127.0.0.1 and ::1
  std::optional<int> ip_version;  ///< empty: both, as far as the host has them
  PortRange port;                 ///< the first free one is taken
};
struct BoundTcp {
  std::vector<std::unique_ptr<Acceptor>> acceptors;  ///< one per address family
  std::uint16_t port = 0;
};
Result<BoundTcp> BindTcp(Executor executor, const TcpBinding& binding);

/// A socket at `path`, mode 0600. A path in use is kBusy; what a dead server left is replaced. The path goes
/// with Close().
Result<std::unique_ptr<Acceptor>> BindLocalSocket(Executor executor, const std::string& path);

}  // namespace longwire
