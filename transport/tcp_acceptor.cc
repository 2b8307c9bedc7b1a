#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "transport/acceptor.h"
#include "transport/descriptor_stream.h"
#include "transport/socket_stream.h"

namespace longwire {
namespace {

using boost::asio::ip::tcp;
using AddressList = std::vector<boost::asio::ip::address>;

/// The system may choose a port for the first family that is taken in the second.
constexpr int kFreePortAttempts = 16;

class TcpAcceptor final : public Acceptor {
 public:
  explicit TcpAcceptor(tcp::acceptor socket) : socket_(std::make_shared<tcp::acceptor>(std::move(socket))) {}
  ~TcpAcceptor() override { Close(); }

  Awaitable<Result<std::unique_ptr<Stream>>> Accept() override { return AcceptOne(socket_); }
  void Close() noexcept override {
    boost::system::error_code ignored;
    socket_->close(ignored);
  }

 private:
  static Awaitable<Result<std::unique_ptr<Stream>>> AcceptOne(std::shared_ptr<tcp::acceptor> socket) {
    auto [error, peer] = co_await socket->async_accept(kAsTuple);
    if (error) co_return StreamError(error, "a new peer");
    co_return MakeTcpStream(std::move(peer));
  }

  std::shared_ptr<tcp::acceptor> socket_;
};

Result<AddressList> AddressesOf(const TcpBinding& binding) {
  using boost::asio::ip::address_v4, boost::asio::ip::address_v6;
  if (!binding.address.empty()) {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(binding.address, error);
    if (error) return Error{Errc::kUsage, binding.address + " is not an IP address to listen on."};
    return AddressList{address};
  }
  AddressList addresses;
  if (binding.ip_version != 6) {
    addresses.push_back(binding.loopback_only ? address_v4::loopback() : address_v4::any());
  }
  if (binding.ip_version != 4) {
    addresses.push_back(binding.loopback_only ? address_v6::loopback() : address_v6::any());
  }
  return addresses;
}

boost::system::error_code BindOne(tcp::acceptor& socket, const tcp::endpoint& endpoint) {
  boost::system::error_code error;
  socket.open(endpoint.protocol(), error);
  if (!error && endpoint.address().is_v6()) socket.set_option(boost::asio::ip::v6_only(true), error);
  if (!error) socket.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) socket.bind(endpoint, error);
  if (!error) socket.listen(boost::asio::socket_base::max_listen_connections, error);
  return error;
}

bool HasNoSuchFamily(const boost::system::error_code& error) {
  return error == boost::asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL;
}

/// All addresses on one port; a family that the host lacks is left out.
Result<BoundTcp> BindPort(const Executor& executor, const AddressList& addresses, std::uint16_t port) {
  BoundTcp bound;
  bound.port = port;
  boost::system::error_code last;
  for (const auto& address : addresses) {
    tcp::acceptor socket(executor);
    const tcp::endpoint endpoint(address, bound.port);
    last = BindOne(socket, endpoint);
    if (last && HasNoSuchFamily(last) && addresses.size() > 1) continue;
    if (last) {
      return Error{Errc::kIo, "Cannot listen on " + FormatAddress(endpoint) + ": " + last.message() + ".", 0,
                   last.value()};
    }
    if (bound.port == 0) bound.port = socket.local_endpoint().port();
    bound.acceptors.push_back(std::make_unique<TcpAcceptor>(std::move(socket)));
  }
  if (bound.acceptors.empty()) {
    return Error{Errc::kIo, "This host has no address to listen on: " + last.message() + ".", 0,
                 last.value()};
  }
  return bound;
}

}  // namespace

Result<BoundTcp> BindTcp(Executor executor, const TcpBinding& binding) {
  const auto addresses = AddressesOf(binding);
  if (!addresses) return addresses.error();
  const bool chosen_by_system = binding.port.first == 0;
  const int attempts = chosen_by_system ? kFreePortAttempts : binding.port.last - binding.port.first + 1;
  Error last{Errc::kUsage, "The port range is empty."};
  for (int i = 0; i < attempts; ++i) {
    const auto port = static_cast<std::uint16_t>(chosen_by_system ? 0 : binding.port.first + i);
    auto bound = BindPort(executor, *addresses, port);
    if (bound) return bound;
    last = bound.error();
    if (last.os_error != EADDRINUSE && last.os_error != EACCES) break;
  }
  if (!chosen_by_system && attempts > 1 && last.os_error == EADDRINUSE) {
    last.message = "No port from " + std::to_string(binding.port.first) + " to " +
                   std::to_string(binding.port.last) + " is free; name another range or port=0.";
  }
  return last;
}

}  // namespace longwire
