#include "server/passthrough/link_door.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "server/passthrough/gdb_connection.h"
#include "transport/socket_stream.h"

namespace longwire {
namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};

const char* OptionOf(Offer::Kind kind) { return kind == Offer::Kind::kGdb ? "--gdb" : "--raw"; }

bool NamesLoopback(const std::string& address) {
  boost::system::error_code error;
  const auto parsed = boost::asio::ip::make_address(address, error);
  return !error && IsLoopback(parsed);
}

}  // namespace

Result<std::unique_ptr<LinkDoor>> LinkDoor::Open(Executor executor, KdService& service, Offer offer,
                                                 bool open) {
  if (offer.address == "localhost") offer.address.clear();
  if (!open && !offer.address.empty() && !NamesLoopback(offer.address)) {
    return Error{Errc::kUsage, std::string(OptionOf(offer.kind)) + ": " + offer.address +
                                   " is beyond this machine, and whoever connects there needs no password; "
                                   "use 127.0.0.1 and a tunnel, or add -open"};
  }
  TcpBinding binding;
  binding.address = offer.address;
  binding.loopback_only = offer.address.empty();
  binding.port = {offer.port, offer.port};
  Result<BoundTcp> bound = BindTcp(executor, binding);
  if (!bound)
    return Error{bound.error().code, std::string(OptionOf(offer.kind)) + ": " + bound.error().message};
  offer.port = bound->port;
  auto door = std::unique_ptr<LinkDoor>(new LinkDoor(std::move(executor), service, std::move(offer)));
  for (auto& acceptor : bound->acceptors) door->acceptors_.push_back(std::move(acceptor));
  return door;
}

std::string LinkDoor::Describe() const {
  const bool brackets = offer_.address.find(':') != std::string::npos;
  const std::string host = offer_.address.empty() ? "127.0.0.1" : offer_.address;
  return std::string(offer_.kind == Offer::Kind::kGdb ? "gdb" : "raw") + " at " +
         (brackets ? "[" + host + "]" : host) + ":" + std::to_string(offer_.port) + " for " + offer_.link;
}

void LinkDoor::Start() {
  for (const auto& acceptor : acceptors_)
    boost::asio::co_spawn(executor_, Accept(executor_, service_, offer_, acceptor, peers_),
                          boost::asio::detached);
}

void LinkDoor::Close() {
  for (const auto& acceptor : acceptors_) acceptor->Close();
}

Awaitable<void> LinkDoor::Accept(Executor executor, KdService& service, Offer offer,
                                 std::shared_ptr<Acceptor> acceptor, std::shared_ptr<std::size_t> peers) {
  for (;;) {
    Result<std::unique_ptr<Stream>> peer = co_await acceptor->Accept();
    if (!peer) {
      if (peer.error().code == Errc::kCancelled) co_return;
      boost::asio::steady_timer pause(executor, kAcceptPause);
      co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      continue;
    }
    if (*peers >= kMaxPeers) continue;  // closed with its stream
    boost::asio::co_spawn(executor, Serve(executor, service, offer, std::move(*peer), peers),
                          boost::asio::detached);
  }
}

Awaitable<void> LinkDoor::Serve(Executor executor, KdService& service, Offer offer,
                                std::unique_ptr<Stream> peer, std::shared_ptr<std::size_t> peers) {
  struct Place {
    explicit Place(std::shared_ptr<std::size_t> all) : count(std::move(all)) { ++*count; }
    ~Place() { --*count; }
    std::shared_ptr<std::size_t> count;
  } place(std::move(peers));
  if (offer.kind == Offer::Kind::kGdb) {
    co_await GdbConnection::Serve(executor, service, offer.link, std::move(peer));
  } else {
    co_await service.PassThrough(offer.link, std::move(peer));
  }
}

}  // namespace longwire
