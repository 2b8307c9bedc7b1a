#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/kd/kd_service.h"
#include "transport/acceptor.h"

namespace longwire {

/// A link offered to other debuggers (kdsrv --gdb, --raw).
struct Offer {
  enum class Kind : std::uint8_t {
    kGdb,  ///< the GDB remote protocol
    kRaw,  ///< the bytes of the line
  };
  Kind kind = Kind::kGdb;
  std::string link;
  std::string address;  ///< empty: this machine only
  std::uint16_t port = 0;
};

/// A TCP port through which one Offer is reached. There is no password: whoever connects is served, one after
/// another as the link becomes free. Belongs to the service's executor.
class LinkDoor {
 public:
  /// Debuggers connected at once; all but one of them are being refused.
  static constexpr std::size_t kMaxPeers = 8;

  /// Binds. `open`: beyond loopback, too; otherwise such an address is kUsage.
  static Result<std::unique_ptr<LinkDoor>> Open(Executor executor, KdService& service, Offer offer,
                                                bool open);
  /// Serves until Close(). `service` must outlive the connections, too.
  void Start();
  void Close();
  /// "gdb at 127.0.0.1:1234 for com:pipe,port=/run/vm"
  std::string Describe() const;
  std::uint16_t port() const { return offer_.port; }

 private:
  LinkDoor(Executor executor, KdService& service, Offer offer)
      : executor_(std::move(executor)), service_(service), offer_(std::move(offer)) {}
  static Awaitable<void> Accept(Executor executor, KdService& service, Offer offer,
                                std::shared_ptr<Acceptor> acceptor, std::shared_ptr<std::size_t> peers);
  static Awaitable<void> Serve(Executor executor, KdService& service, Offer offer,
                               std::unique_ptr<Stream> peer, std::shared_ptr<std::size_t> peers);

  Executor executor_;
  KdService& service_;
  Offer offer_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
  std::shared_ptr<std::size_t> peers_ = std::make_shared<std::size_t>(0);
};

}  // namespace longwire
