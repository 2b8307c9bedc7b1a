#include "transport/socket_stream.h"

#include <sys/socket.h>

#include "transport/descriptor_stream.h"

namespace longwire {
namespace {

template <class Socket>
class SocketStream final : public DescriptorStream<Socket> {
 public:
  using DescriptorStream<Socket>::DescriptorStream;

  std::size_t TryWrite(std::span<const std::byte> data) noexcept override {
    const ssize_t sent =
        ::send(this->socket().native_handle(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }

  Awaitable<Result<void>> ShutdownWrite() override {
    boost::system::error_code error;
    this->socket().shutdown(Socket::shutdown_send, error);
    if (error) co_return StreamError(error, this->peer().address);
    co_return Result<void>();
  }
};

}  // namespace

bool IsLoopback(const boost::asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6()).is_loopback();
  }
  return address.is_loopback();
}

std::string FormatAddress(const boost::asio::ip::tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

std::unique_ptr<Stream> MakeTcpStream(boost::asio::ip::tcp::socket socket) {
  boost::system::error_code error;
  // Requests and answers are small and alternate: Nagle's algorithm would cost a delayed acknowledgement each
  // time.
  socket.set_option(boost::asio::ip::tcp::no_delay(true), error);
  PeerInfo peer;
  const auto remote = socket.remote_endpoint(error);
  peer.address = error ? "a peer that is gone" : FormatAddress(remote);
  peer.loopback = !error && IsLoopback(remote.address());
  return std::make_unique<SocketStream<boost::asio::ip::tcp::socket>>(std::move(socket), std::move(peer));
}

std::unique_ptr<Stream> MakeLocalStream(boost::asio::local::stream_protocol::socket socket) {
  PeerInfo peer{"local"};
  peer.loopback = true;
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    peer.user_id = credentials.uid;
  }
  return std::make_unique<SocketStream<boost::asio::local::stream_protocol::socket>>(std::move(socket),
                                                                                     std::move(peer));
}

}  // namespace longwire
