#pragma once

#include <array>
#include <boost/asio/ip/udp.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proto/kdnet/key.h"
#include "transport/stream.h"

/// For the .cc files of this folder only.
namespace longwire {

/// One UDP port of this machine, shared by all KDNET links that name it: a datagram goes to the link whose
/// key verifies it (kd-protocol.md 6.10). Closed when its last user lets go. Belongs to one executor.
class KdnetSocket : public std::enable_shared_from_this<KdnetSocket> {
 public:
  using Endpoint = boost::asio::ip::udp::endpoint;

  class Listener {
   public:
    virtual ~Listener() = default;
    /// True: the datagram was authentic. Must not join or leave.
    virtual bool OnDatagram(const Endpoint& from, kd::ByteView datagram) = 0;
    /// True: what comes from there is likely for this one, which is asked first.
    virtual bool Expects(const Endpoint& from) const = 0;
    virtual const kdnet::Key& key() const = 0;
  };
  static constexpr std::size_t kMostListeners = 64;

  /// The open socket for `port` of this executor's context, or a new one. kLinkInUse: another program has it.
  static Result<std::shared_ptr<KdnetSocket>> Get(const Executor& executor, std::uint16_t port);

  KdnetSocket(const Executor& executor, std::uint16_t port) : socket_(executor), port_(port) {}

  /// kLinkInUse: another link has the same key; kLimitExceeded.
  Result<void> Join(Listener& listener);
  void Leave(Listener& listener);
  /// What cannot be sent at once is lost, as datagrams are.
  void Send(Endpoint to, kd::ByteView datagram) noexcept;
  Executor executor() { return socket_.get_executor(); }
  /// Where the last KDNET datagram came from that no key here verifies; nullopt: there was none.
  const std::optional<Endpoint>& unclaimed() const { return unclaimed_; }

 private:
  Result<void> Bind();
  static Awaitable<void> Run(std::shared_ptr<KdnetSocket> self);
  void Dispatch(const Endpoint& from, kd::ByteView datagram);

  boost::asio::ip::udp::socket socket_;
  std::uint16_t port_;
  std::vector<Listener*> listeners_;
  std::optional<Endpoint> unclaimed_;
};

}  // namespace longwire
