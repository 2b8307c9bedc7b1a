#include "server/link/kdnet_socket.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <string>
#include <utility>

#include "proto/kdnet/datagram.h"

namespace longwire {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr int kReceiveBuffer = 1 << 20;
constexpr std::chrono::milliseconds kErrorPause{100};

/// The open sockets of one execution context.
class OpenSockets final : public asio::execution_context::service {
 public:
  using key_type = OpenSockets;
  static inline asio::execution_context::id id;

  explicit OpenSockets(asio::execution_context& context) : service(context) {}
  std::map<std::uint16_t, std::weak_ptr<KdnetSocket>> by_port;

 private:
  void shutdown() override { by_port.clear(); }
};

}  // namespace

Result<std::shared_ptr<KdnetSocket>> KdnetSocket::Get(const Executor& executor, std::uint16_t port) {
  auto& open = asio::use_service<OpenSockets>(asio::query(executor, asio::execution::context)).by_port[port];
  if (auto socket = open.lock(); socket && socket->socket_.is_open()) return socket;
  auto socket = std::make_shared<KdnetSocket>(executor, port);
  if (const auto bound = socket->Bind(); !bound) return bound.error();
  open = socket;
  asio::co_spawn(executor, Run(socket), asio::detached);
  return socket;
}

Result<void> KdnetSocket::Bind() {
  boost::system::error_code error;
  // Both families by one socket, where the machine has both.
  socket_.open(udp::v6(), error);
  if (!error) socket_.set_option(asio::ip::v6_only(false), error);
  if (!error) {
    socket_.bind(udp::endpoint(udp::v6(), port_), error);
  }
  if (error && error != asio::error::address_in_use) {
    boost::system::error_code ignored;
    socket_.close(ignored);
    socket_.open(udp::v4(), error);
    if (!error) socket_.bind(udp::endpoint(udp::v4(), port_), error);
  }
  if (error) {
    const Errc code = error == asio::error::address_in_use ? Errc::kLinkInUse : Errc::kLinkFailed;
    return Error{code,
                 "UDP port " + std::to_string(port_) + " cannot be used: " +
                     (code == Errc::kLinkInUse ? "another program has it; end that one, or give the target "
                                                 "another port"
                                               : error.message()),
                 0, error.value()};
  }
  boost::system::error_code ignored;
  socket_.set_option(udp::socket::receive_buffer_size(kReceiveBuffer), ignored);
  socket_.non_blocking(true, ignored);
  return {};
}

Result<void> KdnetSocket::Join(Listener& listener) {
  if (listeners_.size() >= kMostListeners)
    return Error{Errc::kLimitExceeded, "64 links share UDP port " + std::to_string(port_) +
                                           " already; give the target another port"};
  const bool taken = std::any_of(listeners_.begin(), listeners_.end(), [&](const Listener* other) {
    return other->key().control == listener.key().control;
  });
  if (taken)
    return Error{Errc::kLinkInUse, "another link on UDP port " + std::to_string(port_) +
                                       " has the same key; every target needs a key of its own"};
  listeners_.push_back(&listener);
  return {};
}

void KdnetSocket::Leave(Listener& listener) {
  std::erase(listeners_, &listener);
  if (!listeners_.empty()) return;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void KdnetSocket::Send(Endpoint to, kd::ByteView datagram) noexcept {
  boost::system::error_code ignored;
  const auto local = socket_.local_endpoint(ignored);
  if (local.address().is_v6() && to.address().is_v4())
    to.address(asio::ip::make_address_v6(asio::ip::v4_mapped, to.address().to_v4()));
  socket_.send_to(asio::buffer(datagram.data(), datagram.size()), to, 0, ignored);
}

Awaitable<void> KdnetSocket::Run(std::shared_ptr<KdnetSocket> self) {
  // One byte more than a datagram may have, so that a longer one shows.
  std::vector<std::byte> buffer(kdnet::kLargestDatagram + 1);
  while (self->socket_.is_open()) {
    Endpoint from;
    auto [error, size] = co_await self->socket_.async_receive_from(asio::buffer(buffer), from, kAwait);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      asio::steady_timer pause(self->socket_.get_executor(), kErrorPause);
      co_await pause.async_wait(kAwait);
      continue;
    }
    self->Dispatch(from, kd::ByteView(buffer).first(size));
  }
}

void KdnetSocket::Dispatch(const Endpoint& from, kd::ByteView datagram) {
  if (!kdnet::ChannelOf(datagram)) return;
  for (const bool expected : {true, false}) {
    for (Listener* listener : listeners_) {
      if (listener->Expects(from) == expected && listener->OnDatagram(from, datagram)) return;
    }
  }
  unclaimed_ = from;
}

}  // namespace longwire
