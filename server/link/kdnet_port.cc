#include "server/link/kdnet_port.h"

#include <openssl/rand.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "proto/kd/packet.h"
#include "proto/kdnet/frames.h"
#include "proto/kdnet/host_session.h"
#include "proto/shared_moment.h"
#include "server/link/kdnet_socket.h"
#include "server/link/net_key.h"

namespace longwire {

const std::size_t kKdnetPayload = kdnet::kLargestBody - kd::kHeaderSize;

namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// Between two requests for offers: at first, and after kPokesPerResolve of them each time twice as long.
constexpr std::chrono::milliseconds kPokeInterval{500}, kRarestPoke{4000};
constexpr int kPokesPerResolve = 20;
/// A reader that is stuck loses datagrams, as with any other network trouble.
constexpr std::size_t kMostIncoming = 1u << 20;
/// Versions of targets seen so far (6.2), asked in turn while nothing is known about this one.
constexpr std::uint8_t kVersions[] = {5, 4, 2};

/// What the `target=` of a link asks for (remote-debugging.md 4.4).
struct Target {
  std::string host;           ///< to be asked for offers; empty: wait for them
  std::optional<int> family;  ///< 4 or 6: nothing else is listened to
};

Target TargetOf(const std::string& text) {
  if (text == "::") return {"", 6};
  if (text == "0.0.0.0") return {"", 4};
  boost::system::error_code error;
  const auto address = asio::ip::make_address(text, error);
  if (error) return {text, std::nullopt};
  return {text, address.is_v6() ? 6 : 4};
}

/// The host's end of one target: its session, where it is, and the frames nobody has read yet.
class KdnetEnd final : public KdnetSocket::Listener, public std::enable_shared_from_this<KdnetEnd> {
 public:
  KdnetEnd(std::shared_ptr<KdnetSocket> socket, const kdnet::Key& key, std::uint16_t port, Target target)
      : socket_(std::move(socket)),
        key_(key),
        session_(key),
        port_(port),
        target_(std::move(target)),
        changed_(socket_->executor()),
        poke_(socket_->executor()),
        resolver_(socket_->executor()) {
    changed_.expires_at(std::chrono::steady_clock::time_point::max());
  }

  /// Asks for offers until a session began, if the link says where the target is.
  void StartPoking() {
    if (!target_.host.empty()) asio::co_spawn(socket_->executor(), Poke(shared_from_this()), asio::detached);
  }

  void Close() noexcept {
    if (std::exchange(closed_, true)) return;
    socket_->Leave(*this);
    poke_.cancel();
    resolver_.cancel();
    changed_.cancel();
  }

  /// Waits until the target has another session than number `known`; 0 when closed.
  static Awaitable<std::uint64_t> NextSession(std::shared_ptr<KdnetEnd> self, std::uint64_t known) {
    while (!self->closed_ && self->number_ == known) co_await self->changed_.async_wait(kAwait);
    co_return self->closed_ ? 0 : self->number_;
  }

  static Awaitable<Result<std::size_t>> Read(std::shared_ptr<KdnetEnd> self, std::uint64_t number,
                                             std::shared_ptr<bool> closed, std::span<std::byte> out) {
    for (;;) {
      if (self->closed_ || *closed) co_return Error{Errc::kCancelled, "the link was closed"};
      if (self->number_ != number)
        co_return Error{Errc::kTargetRestarted,
                        "the target began a new session: it was restarted, or had given this debugger up"};
      if (!self->incoming_.empty()) break;
      co_await self->changed_.async_wait(kAwait);
    }
    const std::size_t count = std::min(out.size(), self->incoming_.size());
    std::copy_n(self->incoming_.begin(), count, out.begin());
    self->incoming_.erase(self->incoming_.begin(),
                          self->incoming_.begin() + static_cast<std::ptrdiff_t>(count));
    co_return count;
  }

  /// `stream` holds whole packets. Those of a session that is over go nowhere: its reader is told.
  void Write(std::uint64_t number, kd::ByteView stream) {
    if (closed_ || number != number_) return;
    while (auto body = kdnet::NextBody(stream)) {
      if (body->size() <= kdnet::kLargestBody) socket_->Send(peer_, session_.Send(std::move(*body)));
    }
  }

  void Wake() { changed_.cancel(); }
  Executor executor() { return socket_->executor(); }
  std::string refused() const { return socket_->unclaimed() ? Format(*socket_->unclaimed()) : ""; }
  std::string peer() const { return Format(peer_); }

  // ---- KdnetSocket::Listener
  const kdnet::Key& key() const override { return key_; }
  bool Expects(const KdnetSocket::Endpoint& from) const override { return session_.live() && from == peer_; }
  bool OnDatagram(const KdnetSocket::Endpoint& from, kd::ByteView datagram) override {
    if (target_.family) {
      const bool v4 = from.address().is_v4() || from.address().to_v6().is_v4_mapped();
      if (v4 != (*target_.family == 4)) return false;
    }
    kdnet::Block nonce{};
    const bool control = kdnet::ChannelOf(datagram) == kdnet::Channel::kControl;
    if (control && RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()), nonce.size()) != 1)
      return false;
    kdnet::HostSession::Received received = session_.Receive(datagram, nonce);
    // The target may move: its newest authentic datagram says where it is.
    if (received.current) peer_ = from;
    if (received.started) {
      ++number_;
      incoming_.clear();
    }
    if (!received.answer.empty()) socket_->Send(from, received.answer);
    const kd::Bytes frame = kdnet::FrameOf(received.body);
    if (incoming_.size() + frame.size() <= kMostIncoming)
      incoming_.insert(incoming_.end(), frame.begin(), frame.end());
    if (received.started || !frame.empty()) changed_.cancel();
    return received.ours;
  }

 private:
  static std::string Format(const KdnetSocket::Endpoint& endpoint) {
    return endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
  }

  static Awaitable<void> Poke(std::shared_ptr<KdnetEnd> self) {
    std::size_t turn = 0;
    std::chrono::milliseconds interval = kPokeInterval;
    while (!self->closed_ && !self->session_.live()) {
      auto [error, found] =
          co_await self->resolver_.async_resolve(self->target_.host, std::to_string(self->port_), kAwait);
      for (int i = 0; i < kPokesPerResolve && !self->closed_ && !self->session_.live(); ++i) {
        for (const auto& entry : found) {
          const auto version = kVersions[turn++ % std::size(kVersions)];
          self->socket_->Send(entry.endpoint(), self->session_.Poke(version));
        }
        const auto due = std::chrono::steady_clock::now() + interval;
        self->poke_.expires_at(SharedMoment(due, kPokeInterval));
        co_await self->poke_.async_wait(kAwait);
      }
      interval = std::min(interval * 2, kRarestPoke);
    }
  }

  std::shared_ptr<KdnetSocket> socket_;
  kdnet::Key key_;
  kdnet::HostSession session_;
  std::uint16_t port_;
  Target target_;
  KdnetSocket::Endpoint peer_;
  std::uint64_t number_ = 0;  ///< of the session; 0: none yet
  std::vector<std::byte> incoming_;
  bool closed_ = false;
  asio::steady_timer changed_;  ///< never expires; cancelled when something changed
  asio::steady_timer poke_;
  asio::ip::udp::resolver resolver_;
};

/// One session of a target.
class KdnetStream final : public Stream {
 public:
  KdnetStream(std::shared_ptr<KdnetEnd> end, std::uint64_t number) : end_(std::move(end)), number_(number) {
    peer_.address = end_->peer();
  }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    return KdnetEnd::Read(end_, number_, closed_, out);
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    if (*closed_) co_return Error{Errc::kCancelled, "the link was closed"};
    std::vector<std::byte> whole(head.begin(), head.end());
    whole.insert(whole.end(), body.begin(), body.end());
    end_->Write(number_, whole);
    co_return Result<void>{};
  }
  Awaitable<Result<void>> ShutdownWrite() override { co_return Result<void>{}; }
  void Close() noexcept override {
    *closed_ = true;
    end_->Wake();
  }
  const PeerInfo& peer() const noexcept override { return peer_; }

 private:
  std::shared_ptr<KdnetEnd> end_;
  std::uint64_t number_;
  PeerInfo peer_;
  std::shared_ptr<bool> closed_ = std::make_shared<bool>(false);  ///< a pending read looks at it, too
};

class KdnetPort final : public LinkPort {
 public:
  explicit KdnetPort(std::shared_ptr<KdnetEnd> end) : end_(std::move(end)) {}
  ~KdnetPort() override { end_->Close(); }

  Awaitable<Result<std::unique_ptr<Stream>>> Open() override {
    if (opened_ == 0) end_->StartPoking();
    const std::uint64_t number = co_await KdnetEnd::NextSession(end_, opened_);
    if (number == 0) co_return Error{Errc::kCancelled, "the link was closed"};
    opened_ = number;
    co_return std::make_unique<KdnetStream>(end_, number);
  }
  void Cancel() noexcept override { end_->Close(); }
  bool listens() const noexcept override { return true; }
  bool reconnects() const noexcept override { return true; }
  std::uint32_t bytes_per_second() const noexcept override { return 0; }
  std::string refused() const override { return end_->refused(); }

 private:
  std::shared_ptr<KdnetEnd> end_;
  std::uint64_t opened_ = 0;
};

}  // namespace

Result<std::unique_ptr<LinkPort>> MakeKdnetPort(Executor executor, const NetLink& link) {
  const Result<kdnet::Key> key = ReadNetKey(link);
  if (!key) return key.error();
  Result<std::shared_ptr<KdnetSocket>> socket = KdnetSocket::Get(executor, link.port);
  if (!socket) return socket.error();
  auto end = std::make_shared<KdnetEnd>(*socket, *key, link.port, TargetOf(link.target));
  if (const auto joined = (*socket)->Join(*end); !joined) return joined.error();
  return std::unique_ptr<LinkPort>(std::make_unique<KdnetPort>(std::move(end)));
}

}  // namespace longwire
