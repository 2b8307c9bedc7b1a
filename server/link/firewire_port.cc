#include "server/link/firewire_port.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace longwire {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
/// Between two looks at a bus where nobody waits on the channel.
constexpr std::chrono::seconds kSearchInterval{1};
/// Of bytes nobody has read yet; the target waits then.
constexpr std::size_t kMostWaiting = 64u << 10;

/// The host's end of one machine on the bus.
class FirewireEnd {
 public:
  FirewireEnd(Executor executor, std::string name, std::unique_ptr<FirewireNode> node, std::uint8_t channel)
      : executor_(executor),
        name_(std::move(name)),
        node_(std::move(node)),
        exchange_(channel),
        pump_(executor),
        reader_(executor) {
    pump_.expires_at(Clock::time_point::max());
    reader_.expires_at(Clock::time_point::max());
  }

  /// Reads the ROM and, if it announces one, the configuration block. True: this is the machine.
  static Awaitable<Result<bool>> Recognize(std::shared_ptr<FirewireEnd> self) {
    const Result<FirewireNode::View> view = self->node_->Look();
    if (!view) co_return view.error();
    if (!firewire::FindConfiguration(view->rom)) co_return false;
    self->exchange_.Discover(Clock::now(), view->rom, view->most_bytes);
    while (!self->closed_ && !self->exchange_.ready()) {
      const bool moved = co_await Advance(self);
      if (self->failure_) co_return *self->failure_;
      if (!moved) co_await self->Sleep();
    }
    co_return !self->closed_;
  }

  static void Start(std::shared_ptr<FirewireEnd> self) {
    asio::co_spawn(self->executor_, Run(self), asio::detached);
  }

  static Awaitable<Result<std::size_t>> Read(std::shared_ptr<FirewireEnd> self, std::span<std::byte> out) {
    while (!self->closed_ && !self->failure_ && self->input_.empty())
      co_await self->reader_.async_wait(kAwait);
    if (self->closed_) co_return Error{Errc::kCancelled, "the link was closed"};
    if (self->input_.empty()) co_return *self->failure_;
    const std::size_t count = std::min(out.size(), self->input_.size());
    std::copy_n(self->input_.begin(), count, out.begin());
    self->input_.erase(self->input_.begin(), self->input_.begin() + static_cast<std::ptrdiff_t>(count));
    self->pump_.cancel();
    co_return count;
  }

  void Write(kd::ByteView stream) {
    exchange_.Write(Clock::now(), stream);
    pump_.cancel();
  }

  void Close() noexcept {
    if (std::exchange(closed_, true)) return;
    node_->Close();
    pump_.cancel();
    reader_.cancel();
  }

  bool closed() const { return closed_; }
  const std::string& name() const { return name_; }

 private:
  /// Does what is due on the bus; false: nothing is.
  static Awaitable<bool> Advance(std::shared_ptr<FirewireEnd> self) {
    firewire::HostExchange& exchange = self->exchange_;
    if (exchange.failure()) self->failure_ = exchange.failure();
    if (self->failure_) co_return false;
    if (exchange.NeedsDiscovery()) {
      const Result<FirewireNode::View> view = self->node_->Look();
      if (view) {
        exchange.Discover(Clock::now(), view->rom, view->most_bytes);
      } else {
        self->failure_ = view.error();
      }
      co_return view.has_value();
    }
    auto request = exchange.Next(Clock::now());
    if (!request) co_return false;
    const FirewireNode::Reply reply = co_await self->node_->Perform(std::move(*request));
    if (self->closed_) co_return false;
    exchange.Complete(Clock::now(), reply.outcome, reply.data);
    const kd::Bytes input = exchange.TakeInput();
    self->input_.insert(self->input_.end(), input.begin(), input.end());
    if (!input.empty()) self->reader_.cancel();
    co_return true;
  }

  static Awaitable<void> Run(std::shared_ptr<FirewireEnd> self) {
    while (!self->closed_ && !self->failure_) {
      bool moved = false;
      if (self->input_.size() < kMostWaiting) moved = co_await Advance(self);
      if (!moved && !self->closed_ && !self->failure_) co_await self->Sleep();
    }
    self->reader_.cancel();
  }

  /// Until something is due, or Write or Read change what is.
  Awaitable<void> Sleep() {
    const bool room = input_.size() < kMostWaiting;
    pump_.expires_at(room ? exchange_.Deadline().value_or(Clock::now()) : Clock::time_point::max());
    co_await pump_.async_wait(kAwait);
  }

  Executor executor_;
  std::string name_;
  std::unique_ptr<FirewireNode> node_;
  firewire::HostExchange exchange_;
  std::vector<std::byte> input_;
  std::optional<Error> failure_;
  bool closed_ = false;
  asio::steady_timer pump_, reader_;
};

class FirewireStream final : public Stream {
 public:
  explicit FirewireStream(std::shared_ptr<FirewireEnd> end) : end_(std::move(end)) {
    peer_.address = end_->name();
  }
  ~FirewireStream() override { end_->Close(); }

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    return FirewireEnd::Read(end_, out);
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    if (end_->closed()) co_return Error{Errc::kCancelled, "the link was closed"};
    std::vector<std::byte> whole(head.begin(), head.end());
    whole.insert(whole.end(), body.begin(), body.end());
    end_->Write(whole);
    co_return Result<void>{};
  }
  Awaitable<Result<void>> ShutdownWrite() override { co_return Result<void>{}; }
  void Close() noexcept override { end_->Close(); }
  const PeerInfo& peer() const noexcept override { return peer_; }

 private:
  std::shared_ptr<FirewireEnd> end_;
  PeerInfo peer_;
};

class FirewirePort final : public LinkPort {
 public:
  FirewirePort(Executor executor, std::uint8_t channel, std::unique_ptr<FirewireBus> bus)
      : executor_(executor), channel_(channel), bus_(std::move(bus)), pause_(executor) {}

  Awaitable<Result<std::unique_ptr<Stream>>> Open() override {
    while (!cancelled_) {
      if (std::shared_ptr<FirewireEnd> end = co_await Find()) {
        FirewireEnd::Start(end);
        co_return std::make_unique<FirewireStream>(std::move(end));
      }
      if (cancelled_) break;
      pause_.expires_after(kSearchInterval);
      co_await pause_.async_wait(kAwait);
    }
    co_return Error{Errc::kCancelled, complaint_};
  }
  void Cancel() noexcept override {
    cancelled_ = true;
    pause_.cancel();
    if (tried_) tried_->Close();
  }
  bool listens() const noexcept override { return true; }
  bool reconnects() const noexcept override { return true; }
  std::uint32_t bytes_per_second() const noexcept override { return 0; }

 private:
  /// The machine that waits on the channel; null with a complaint when there is none.
  Awaitable<std::shared_ptr<FirewireEnd>> Find() {
    complaint_ = "no machine on the 1394 bus waits for a debugger on channel " + std::to_string(channel_);
    const auto complain = [this](const std::string& name, const Error& error) {
      complaint_ += "; " + name + ": " + error.message;
    };
    const auto nodes = bus_->Nodes();
    if (!nodes) {
      complaint_ = nodes.error().message;
      co_return nullptr;
    }
    for (const std::string& name : *nodes) {
      auto node = bus_->Open(name);
      if (!node) {
        complain(name, node.error());
        continue;
      }
      tried_ = std::make_shared<FirewireEnd>(executor_, name, std::move(*node), channel_);
      const auto recognized = co_await FirewireEnd::Recognize(tried_);
      const std::shared_ptr<FirewireEnd> end = std::exchange(tried_, nullptr);
      if (cancelled_) break;
      if (recognized && *recognized) co_return end;
      end->Close();
      if (!recognized) complain(name, recognized.error());
    }
    co_return nullptr;
  }

  Executor executor_;
  std::uint8_t channel_;
  std::unique_ptr<FirewireBus> bus_;
  asio::steady_timer pause_;
  bool cancelled_ = false;
  std::shared_ptr<FirewireEnd> tried_;
  std::string complaint_ = "the link was closed";
};

}  // namespace

Result<std::unique_ptr<LinkPort>> MakeFirewirePort(Executor executor, const FirewireLink& link,
                                                   std::unique_ptr<FirewireBus> bus) {
  if (link.symlink == "channel") {
    return Error{Errc::kUnsupported,
                 "the 1394 protocol of Windows XP targets (symlink=channel) is not known; use a com link"};
  }
  if (const auto nodes = bus->Nodes(); !nodes) return nodes.error();
  return std::unique_ptr<LinkPort>(
      std::make_unique<FirewirePort>(std::move(executor), link.channel, std::move(bus)));
}

}  // namespace longwire
