#pragma once

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/kd/kd_service.h"
#include "tests/support/coro_test.h"
#include "tests/support/machine_port.h"

/// A KD service over a scripted target, and clients of it over memory streams.
namespace longwire::test {

namespace asio = boost::asio;
inline constexpr std::uint64_t kCode = 0xFFFFF80000001000;

/// A stream whose peer came over the network.
class ForeignStream final : public Stream {
 public:
  explicit ForeignStream(std::unique_ptr<Stream> inner) : inner_(std::move(inner)) {}
  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override { return inner_->ReadSome(out); }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return inner_->WriteAll(head, body);
  }
  Awaitable<Result<void>> ShutdownWrite() override { return inner_->ShutdownWrite(); }
  void Close() noexcept override { inner_->Close(); }
  const PeerInfo& peer() const noexcept override { return peer_; }

 private:
  std::unique_ptr<Stream> inner_;
  PeerInfo peer_{"192.0.2.7:4000"};
};

/// Looks at the world each time something is about to be written.
class WatchedStream final : public Stream {
 public:
  WatchedStream(std::unique_ptr<Stream> inner, std::function<void()> look)
      : inner_(std::move(inner)), look_(std::move(look)) {}
  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override { return inner_->ReadSome(out); }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    look_();
    return inner_->WriteAll(head, body);
  }
  std::size_t TryWrite(std::span<const std::byte> data) noexcept override {
    look_();
    return inner_->TryWrite(data);
  }
  Awaitable<Result<void>> ShutdownWrite() override { return inner_->ShutdownWrite(); }
  void Close() noexcept override { inner_->Close(); }
  const PeerInfo& peer() const noexcept override { return inner_->peer(); }

 private:
  std::unique_ptr<Stream> inner_;
  std::function<void()> look_;
};

/// A client of the service: sends requests, waits for answers, keeps events.
class Client {
 public:
  /// `look`: called before each write of the service.
  Client(asio::io_context& context, KdService& service, bool foreign = false,
         std::function<void()> look = {}) {
    auto [ours, theirs] = MakeMemoryStreams(context.get_executor(), 64u << 10);
    if (foreign) theirs = std::make_unique<ForeignStream>(std::move(theirs));
    if (look) theirs = std::make_unique<WatchedStream>(std::move(theirs), std::move(look));
    channel = RpcChannel::Make(context.get_executor(), std::move(ours));
    asio::co_spawn(context, service.Serve(std::move(theirs)), asio::detached);
  }
  asio::awaitable<void> Greet(std::string user, rpc::Role role = rpc::Role::kDriver) {
    rpc::Hello hello;
    hello.user = user;
    hello.role = role;
    co_await GreetWith(std::move(hello));
  }
  asio::awaitable<void> GreetWith(rpc::Hello hello) {
    hello.host = "lab";
    const auto answer = co_await GreetServer(*channel, hello);
    EXPECT_TRUE(answer);
    if (answer) welcome = *answer;
  }
  /// As a client that knows everything of today.
  asio::awaitable<void> GreetFully(std::string user, rpc::Role role = rpc::Role::kDriver,
                                   const Client* former = nullptr) {
    rpc::Hello hello;
    hello.user = user;
    hello.role = role;
    hello.capabilities = {rpc::kResumeCapability, rpc::kRolesCapability, rpc::kScrollBackCapability};
    if (former != nullptr) {
      hello.resume_token = former->welcome.resume_token;
      hello.last_event = former->last_event;
      last_event = former->last_event;
      last_id = former->last_id;  // ids belong to the session
    }
    co_await GreetWith(std::move(hello));
  }
  asio::awaitable<rpc::Answer> Ask(rpc::Request request, std::vector<std::byte>* bulk = nullptr) {
    const std::uint64_t id = ++last_id;
    co_return co_await AskAs(id, std::move(request), bulk);
  }
  asio::awaitable<rpc::Answer> AskAs(std::uint64_t id, rpc::Request request,
                                     std::vector<std::byte>* bulk = nullptr) {
    EXPECT_TRUE(channel->Enqueue(rpc::Envelope{id, std::move(request), {}}));
    co_return co_await AnswerTo(id, bulk);
  }
  asio::awaitable<rpc::Answer> AskAgain(std::uint64_t id, rpc::Request request) {
    EXPECT_TRUE(channel->Enqueue(rpc::Envelope{id, std::move(request), {}, true}));
    co_return co_await AnswerTo(id);
  }
  asio::awaitable<rpc::Answer> AnswerTo(std::uint64_t id, std::vector<std::byte>* bulk = nullptr) {
    for (;;) {
      auto envelope = co_await channel->Receive();
      if (!envelope) co_return rpc::Answer(envelope.error());
      KeepEvent(*envelope);
      auto* response = std::get_if<rpc::Response>(&envelope->message);
      if (response == nullptr || envelope->id != id) continue;
      if (bulk != nullptr) *bulk = envelope->bulk;
      co_return response->answer;
    }
  }
  template <class T>
  asio::awaitable<std::optional<T>> Await() {
    for (;;) {
      for (std::size_t i = 0; i < events.size(); ++i) {
        if (T* found = std::get_if<T>(&events[i])) {
          T event = *found;
          events.erase(events.begin() + i);
          co_return event;
        }
      }
      auto envelope = co_await channel->Receive();
      if (!envelope) co_return std::nullopt;
      KeepEvent(*envelope);
    }
  }
  void KeepEvent(const rpc::Envelope& envelope) {
    const auto* event = std::get_if<rpc::Event>(&envelope.message);
    if (event == nullptr) return;
    events.push_back(*event);
    if (envelope.id == 0) return;
    EXPECT_GT(envelope.id, last_event);
    last_event = envelope.id;
  }

  std::unique_ptr<RpcChannel> channel;
  rpc::Welcome welcome;
  std::vector<rpc::Event> events;
  std::uint64_t last_event = 0;
  std::uint64_t last_id = 0;
};

struct Bench {
  asio::io_context context{1};
  std::shared_ptr<Machine> machine = std::make_shared<Machine>();
  std::unique_ptr<KdService> service;
  std::vector<std::string> log;

  explicit Bench(KdServiceOptions options = {}) {
    options.log = options.warn = [this](const std::string& line) { log.push_back(line); };
    machine->target.Map(kCode, 0x4000);
    machine->target.Map(0xFFFFF88000010000, 0x1000);
    machine->target.Poke(kCode, {std::byte{0xCC}});
    for (auto& record : machine->target.contexts)
      kd::Store(std::span(record), 0x98, std::uint64_t{0xFFFFF88000010400});
    machine->target.Stop(kd::kExceptionBreakpoint, kCode);
    options.make_back_end = [machine = machine](Executor executor,
                                                const KernelLink& link) -> Result<LinkBackEnd> {
      return MakeKdBackEnd(std::make_unique<MachinePort>(executor, machine), link);
    };
    service = std::make_unique<KdService>(context.get_executor(), std::move(options));
  }
  /// Lines of the log with that in them.
  std::size_t Logged(std::string_view text) const {
    return std::count_if(log.begin(), log.end(),
                         [text](const std::string& line) { return line.find(text) != std::string::npos; });
  }
  ~Bench() {
    service.reset();
    context.restart();
    context.poll();
  }
};

inline const Error* ErrorOf(const rpc::Answer& answer) { return std::get_if<Error>(&answer); }
inline rpc::OpenLink Open() { return rpc::OpenLink{"com:pipe,port=/run/vm.sock", false, false}; }

/// gcc 12 cannot build a list of ranges inside a co_await expression.
inline rpc::Request ReadOf(std::uint64_t address, std::uint64_t size, bool uncached) {
  rpc::ReadMemory read;
  read.ranges.push_back({address, size});
  read.uncached = uncached;
  return read;
}

inline asio::awaitable<rpc::StopEvent> OpenHalted(Client& client) {
  const rpc::Answer opened = co_await client.Ask(Open());
  EXPECT_NE(std::get_if<rpc::LinkOpened>(&opened), nullptr);
  const auto stop = co_await client.Await<rpc::StopEvent>();
  EXPECT_TRUE(stop);
  co_return stop.value_or(rpc::StopEvent{});
}

}  // namespace longwire::test
