#pragma once

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string>
#include <utility>

#include "transport/stream.h"
#include "transport/stream_error.h"

/// A Stream over anything Asio reads and writes; for the .cc files of this folder only.
namespace longwire {

inline constexpr auto kAsTuple = boost::asio::as_tuple(boost::asio::use_awaitable);

/// `Socket` is an Asio socket or stream descriptor. What sending and ending mean differs; subclasses say.
template <class Socket>
class DescriptorStream : public Stream {
 public:
  DescriptorStream(Socket socket, PeerInfo peer)
      : core_(std::make_shared<Core>(Core{std::move(socket), std::move(peer)})) {}
  ~DescriptorStream() override { CloseCore(*core_); }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override { return Read(core_, out); }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return Write(core_, head, body);
  }
  void Close() noexcept override { CloseCore(*core_); }
  const PeerInfo& peer() const noexcept override { return core_->peer; }

 protected:
  Socket& socket() { return core_->socket; }

 private:
  /// Shared with the calls under way, which may outlive the stream.
  struct Core {
    Socket socket;
    PeerInfo peer;
  };

  static void CloseCore(Core& core) {
    boost::system::error_code ignored;
    core.socket.close(ignored);
  }

  static Awaitable<Result<std::size_t>> Read(std::shared_ptr<Core> core, std::span<std::byte> out) {
    const auto [error, count] =
        co_await core->socket.async_read_some(boost::asio::buffer(out.data(), out.size()), kAsTuple);
    if (!error) co_return count;
    if (error == boost::asio::error::eof) co_return std::size_t{0};
    co_return StreamError(error, core->peer.address);
  }

  static Awaitable<Result<void>> Write(std::shared_ptr<Core> core, std::span<const std::byte> head,
                                       std::span<const std::byte> body) {
    const std::array<boost::asio::const_buffer, 2> buffers = {boost::asio::buffer(head.data(), head.size()),
                                                              boost::asio::buffer(body.data(), body.size())};
    const auto [error, count] = co_await boost::asio::async_write(core->socket, buffers, kAsTuple);
    if (error) co_return StreamError(error, core->peer.address);
    co_return Result<void>();
  }

  std::shared_ptr<Core> core_;
};

}  // namespace longwire
