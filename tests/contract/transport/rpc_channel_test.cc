#include "transport/rpc_channel.h"

#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "proto/rpc/frame.h"
#include "tests/support/coro_test.h"
#include "transport/memory_stream.h"

namespace longwire {
namespace {

using namespace boost::asio::experimental::awaitable_operators;
using std::chrono::milliseconds;

rpc::Envelope TextEvent(std::string text, std::size_t bulk = 0) {
  return {0, rpc::Event(rpc::Output{std::move(text)}), std::vector<std::byte>(bulk, std::byte{0x5A})};
}

std::string TextOf(const rpc::Envelope& envelope) {
  const auto* event = std::get_if<rpc::Event>(&envelope.message);
  const auto* output = event ? std::get_if<rpc::Output>(event) : nullptr;
  return output ? output->text : "not an output event";
}

std::vector<std::byte> Wire(const rpc::Envelope& envelope) {
  auto bytes = rpc::EncodeFrameHead(envelope);
  bytes.insert(bytes.end(), envelope.bulk.begin(), envelope.bulk.end());
  return bytes;
}

Awaitable<int> ReceiveSome(RpcChannel& channel, int wanted) {
  int count = 0;
  while (count < wanted) {
    const auto got = co_await channel.Receive();
    if (!got) break;
    ++count;
  }
  co_return count;
}

class RpcChannelTest : public testing::Test {
 protected:
  using Pair = std::pair<std::unique_ptr<RpcChannel>, std::unique_ptr<RpcChannel>>;

  Pair MakeChannels(ChannelLimits limits = {}, std::size_t capacity = 1u << 20) {
    auto [client, server] = MakeMemoryStreams(context_.get_executor(), capacity);
    return {RpcChannel::Make(context_.get_executor(), std::move(client), limits),
            RpcChannel::Make(context_.get_executor(), std::move(server), limits)};
  }

  /// A channel and the bare stream at its other end.
  std::pair<std::unique_ptr<RpcChannel>, std::unique_ptr<Stream>> MakeHalf(ChannelLimits limits = {}) {
    auto [near, far] = MakeMemoryStreams(context_.get_executor());
    return {RpcChannel::Make(context_.get_executor(), std::move(near), limits), std::move(far)};
  }

  static Awaitable<void> Greet(RpcChannel& client, RpcChannel& server) {
    rpc::Hello hello;
    hello.software = "client";
    hello.capabilities = {"plans", "files", "from-the-future"};
    rpc::Welcome welcome;
    welcome.software = "server";
    welcome.capabilities = {"files", "plans", "only-here"};
    const auto [at_client, at_server] =
        co_await (GreetServer(client, std::move(hello)) && GreetClient(server, std::move(welcome)));
    CO_ASSERT_OK(at_client);
    CO_ASSERT_OK(at_server);
    EXPECT_EQ(at_client->capabilities, (std::vector<std::string>{"files", "plans"}));
    EXPECT_EQ(at_server->capabilities, (std::vector<std::string>{"files", "plans"}));
    EXPECT_EQ(at_client->software, "server");
    EXPECT_EQ(at_server->software, "client");
  }

  template <class Body>
  void Run(Body body) {
    test::RunTest(context_, std::move(body));
  }

  boost::asio::io_context context_{1};
};

TEST_F(RpcChannelTest, GreetsAndCarriesBulk) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels();
    co_await Greet(*client, *server);
    for (const std::size_t bulk : {0u, 1u, 16'384u, 16'385u, 5'000'000u}) {
      CO_ASSERT_OK(client->Enqueue(TextEvent("text", bulk)));
      const auto got = co_await server->Receive();
      CO_ASSERT_OK(got);
      EXPECT_EQ(TextOf(*got), "text");
      EXPECT_EQ(got->bulk, std::vector<std::byte>(bulk, std::byte{0x5A}));
    }
    EXPECT_EQ(client->queued_bytes(), 0u);
  });
}

TEST_F(RpcChannelTest, KeepsOrderAndUrgentOvertakes) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels({}, 4096);
    co_await Greet(*client, *server);
    // The first is larger than what the stream holds, so it is under way when the others are queued.
    CO_ASSERT_OK(client->Enqueue(TextEvent("first", 100'000)));
    co_await test::Pause(milliseconds(5));
    for (int i = 0; i < 100; ++i) CO_ASSERT_OK(client->Enqueue(TextEvent("n" + std::to_string(i))));
    CO_ASSERT_OK(client->Enqueue({0, rpc::Cancel{7}, {}}, RpcChannel::Lane::kUrgent));
    const auto first = co_await server->Receive();
    CO_ASSERT_OK(first);
    EXPECT_EQ(TextOf(*first), "first");
    const auto second = co_await server->Receive();
    CO_ASSERT_OK(second);
    CO_ASSERT_TRUE(std::holds_alternative<rpc::Cancel>(second->message));
    for (int i = 0; i < 100; ++i) {
      const auto next = co_await server->Receive();
      CO_ASSERT_OK(next);
      EXPECT_EQ(TextOf(*next), "n" + std::to_string(i));
    }
  });
}

TEST_F(RpcChannelTest, RefusesAboveTheQueueLimitButTakesUrgentMessages) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels({.queued_bytes = 300'000}, 4096);
    co_await Greet(*client, *server);
    CO_ASSERT_OK(client->Enqueue(TextEvent("a", 200'000)));
    CO_EXPECT_ERROR(client->Enqueue(TextEvent("b", 200'000)), Errc::kLimitExceeded);
    CO_ASSERT_OK(client->Enqueue(TextEvent("c", 90'000)));
    CO_ASSERT_OK(client->Enqueue({0, rpc::Goodbye{Errc::kClosed, std::string(20'000, 'x')}, {}},
                                 RpcChannel::Lane::kUrgent));
    CO_EXPECT_ERROR(co_await client->Drain(milliseconds(30)), Errc::kTimedOut);
    const auto [drained, received] = co_await (client->Drain(milliseconds(2000)) && ReceiveSome(*server, 3));
    CO_ASSERT_OK(drained);
    EXPECT_EQ(received, 3);
    EXPECT_EQ(client->queued_bytes(), 0u);
  });
}

TEST_F(RpcChannelTest, RefusesAFrameThatIsTooLarge) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels({.queued_bytes = 1u << 30});
    co_await Greet(*client, *server);
    CO_EXPECT_ERROR(client->Enqueue(TextEvent("", rpc::kMaxBulkBytes + 1)), Errc::kLimitExceeded);
    CO_EXPECT_ERROR(client->Enqueue(TextEvent(std::string(rpc::kMaxEnvelopeBytes + 1, 'x'))),
                    Errc::kLimitExceeded);
  });
}

TEST_F(RpcChannelTest, SilentPeerIsTimedOut) {
  Run([this]() -> Awaitable<void> {
    const auto [channel, peer] = MakeHalf({.keepalive = milliseconds(20), .silence = milliseconds(80)});
    const auto begin = std::chrono::steady_clock::now();
    CO_EXPECT_ERROR(co_await channel->Receive(), Errc::kTimedOut);
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_GE(took, milliseconds(75));
    EXPECT_LT(took, milliseconds(1000));
  });
}

TEST_F(RpcChannelTest, KeepalivesHoldAnIdleConnection) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels({.keepalive = milliseconds(20), .silence = milliseconds(100)});
    co_await Greet(*client, *server);
    boost::asio::steady_timer later(context_, milliseconds(400));
    later.async_wait(
        [&client = *client](boost::system::error_code) { (void)client.Enqueue(TextEvent("late")); });
    const auto result = co_await (server->Receive() || client->Receive());
    CO_ASSERT_EQ(result.index(), 0u);
    const auto& got = std::get<0>(result);
    CO_ASSERT_OK(got);
    EXPECT_EQ(TextOf(*got), "late");
  });
}

constexpr ChannelLimits kQuick{
    .keepalive = milliseconds(10), .calm = milliseconds(30), .silence = milliseconds(2000)};

/// When the next keepalive comes, as the keepalive that follows in `peer` says.
Awaitable<std::uint32_t> NextSays(Stream& peer) {
  std::vector<std::byte> frame;
  for (;;) {
    std::byte byte{};
    if (!co_await peer.ReadSome(std::span(&byte, 1))) co_return 0;
    frame.push_back(byte);
    if (frame.size() < rpc::kFrameHeaderBytes) continue;
    const auto header = rpc::DecodeFrameHeader(std::span(frame).first<rpc::kFrameHeaderBytes>(), true);
    if (!header || frame.size() < rpc::kFrameHeaderBytes + header->envelope_bytes) continue;
    const auto envelope = rpc::DecodeEnvelope(std::span(frame).subspan(rpc::kFrameHeaderBytes));
    frame.clear();
    if (!envelope) co_return 0;
    if (const auto* keepalive = std::get_if<rpc::Keepalive>(&envelope->message)) co_return keepalive->next_ms;
  }
}

TEST_F(RpcChannelTest, WhoSaysNothingKeepsAliveMoreRarelyUntilItSaysSomething) {
  Run([this]() -> Awaitable<void> {
    const auto [channel, peer] = MakeHalf(kQuick);
    auto reading = [](RpcChannel& from) -> Awaitable<void> { (void)co_await from.Receive(); };
    boost::asio::co_spawn(context_, reading(*channel), boost::asio::detached);
    CO_ASSERT_OK(co_await peer->WriteAll(Wire({0, rpc::Keepalive{10}, {}})));
    int usual = 0;
    while (co_await NextSays(*peer) == 10) ++usual;
    EXPECT_GE(usual, ChannelLimits::kCalmAfter - 1);
    EXPECT_EQ(co_await NextSays(*peer), 30u);
    CO_ASSERT_OK(channel->Enqueue(TextEvent("something")));
    std::uint32_t next = co_await NextSays(*peer);
    if (next == 30) next = co_await NextSays(*peer);  // was on its way before
    EXPECT_EQ(next, 10u) << "behind anything else";
    channel->Close();
  });
}

TEST_F(RpcChannelTest, AnOlderPeerIsNeverKeptWaiting) {
  Run([this]() -> Awaitable<void> {
    const auto [channel, peer] = MakeHalf(kQuick);
    auto reading = [](RpcChannel& from) -> Awaitable<void> { (void)co_await from.Receive(); };
    boost::asio::co_spawn(context_, reading(*channel), boost::asio::detached);
    CO_ASSERT_OK(co_await peer->WriteAll(Wire({0, rpc::Keepalive{}, {}})));
    for (int i = 0; i < 2 * ChannelLimits::kCalmAfter; ++i) EXPECT_EQ(co_await NextSays(*peer), 10u);
    channel->Close();
  });
}

TEST_F(RpcChannelTest, ACalmPeerIsWaitedForWithinTheLimit) {
  Run([this]() -> Awaitable<void> {
    const ChannelLimits limits{
        .keepalive = milliseconds(10), .calm = milliseconds(400), .silence = milliseconds(40)};
    const auto [channel, peer] = MakeHalf(limits);
    CO_ASSERT_OK(co_await peer->WriteAll(Wire({0, rpc::Keepalive{~std::uint32_t{0}}, {}})));
    const auto begin = std::chrono::steady_clock::now();
    CO_EXPECT_ERROR(co_await channel->Receive(), Errc::kTimedOut);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(420));
    EXPECT_EQ(channel->peer_extra(), milliseconds(390));
  });
}

TEST_F(RpcChannelTest, GarbageEndsTheChannel) {
  Run([this]() -> Awaitable<void> {
    const auto [channel, peer] = MakeHalf();
    const std::string garbage = "GET / HTTP/1.1\r\n\r\n";
    CO_ASSERT_OK(co_await peer->WriteAll(std::as_bytes(std::span(garbage))));
    CO_EXPECT_ERROR(co_await channel->Receive(), Errc::kMalformed);
  });
}

TEST_F(RpcChannelTest, LargeFrameBeforeTheWelcomeIsRefused) {
  Run([this]() -> Awaitable<void> {
    const auto [channel, peer] = MakeHalf();
    const auto header = rpc::EncodeFrameHeader({rpc::kMaxHelloBytes + 1, 0});
    CO_ASSERT_OK(co_await peer->WriteAll(header));
    CO_EXPECT_ERROR(co_await channel->Receive(), Errc::kMalformed);
  });
}

TEST_F(RpcChannelTest, ManySmallFramesBeforeTheWelcomeAreRefused) {
  Run([this]() -> Awaitable<void> {
    const auto [channel, peer] = MakeHalf();
    const auto keepalive = Wire({0, rpc::Keepalive{}, {}});
    for (std::size_t sent = 0; sent <= rpc::kMaxHelloBytes; sent += keepalive.size()) {
      CO_ASSERT_OK(co_await peer->WriteAll(keepalive));
    }
    CO_EXPECT_ERROR(co_await channel->Receive(), Errc::kMalformed);
  });
}

TEST_F(RpcChannelTest, EndInsideAFrameIsNotAnOrderlyEnd) {
  Run([this]() -> Awaitable<void> {
    const auto [channel, peer] = MakeHalf();
    const auto bytes = Wire({0, rpc::Hello{}, {}});
    CO_ASSERT_OK(co_await peer->WriteAll(std::span(bytes).first(bytes.size() - 1)));
    CO_ASSERT_OK(co_await peer->ShutdownWrite());
    CO_EXPECT_ERROR(co_await channel->Receive(), Errc::kIo);
  });
}

TEST_F(RpcChannelTest, OrderlyEndIsClosedAndOwnCloseIsCancelled) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels();
    co_await Greet(*client, *server);
    client->Close();
    CO_EXPECT_ERROR(co_await server->Receive(), Errc::kClosed);
    CO_EXPECT_ERROR(co_await client->Receive(), Errc::kCancelled);
    CO_EXPECT_ERROR(client->Enqueue(TextEvent("x")), Errc::kCancelled);
  });
}

TEST_F(RpcChannelTest, FramesArriveWhateverTheSplit) {
  Run([this]() -> Awaitable<void> {
    const auto bytes = Wire({0, rpc::Hello{}, {}});
    for (std::size_t split = 1; split < bytes.size(); ++split) {
      const auto [channel, peer] = MakeHalf();
      CO_ASSERT_OK(co_await peer->WriteAll(std::span(bytes).first(split)));
      const auto [got, sent] =
          co_await (channel->Receive() && peer->WriteAll(std::span(bytes).subspan(split)));
      CO_ASSERT_OK(sent);
      CO_ASSERT_OK(got);
      CO_ASSERT_TRUE(std::holds_alternative<rpc::Hello>(got->message));
    }
  });
}

TEST_F(RpcChannelTest, VersionMismatchIsRejectedWithBothRanges) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels();
    rpc::Hello hello;
    hello.protocol_minimum = 7;
    hello.protocol_maximum = 9;
    rpc::Welcome welcome;
    const auto [at_client, at_server] =
        co_await (GreetServer(*client, std::move(hello)) && GreetClient(*server, std::move(welcome)));
    CO_EXPECT_ERROR(at_server, Errc::kVersionMismatch);
    CO_ASSERT_TRUE(!at_client);
    EXPECT_EQ(at_client.error().code, Errc::kVersionMismatch);
    const std::string& text = at_client.error().message;
    EXPECT_NE(text.find("do not use the same remoting protocol version"), std::string::npos) << text;
    EXPECT_NE(text.find("7..9"), std::string::npos) << text;
    EXPECT_NE(text.find("1..1"), std::string::npos) << text;
  });
}

TEST_F(RpcChannelTest, LongHelloAndWhatStandsBehindItArrive) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels();
    rpc::Hello hello;
    hello.software = std::string(3'000, 's');
    CO_ASSERT_OK(client->Enqueue({0, hello, {}}));
    CO_ASSERT_OK(client->Enqueue({6, rpc::Request(rpc::BreakIn{}), std::vector<std::byte>(100'000)}));
    rpc::Welcome welcome;
    const auto said = co_await GreetClient(*server, std::move(welcome));
    CO_ASSERT_OK(said);
    EXPECT_EQ(said->software, hello.software);
    const auto request = co_await server->Receive();
    CO_ASSERT_OK(request);
    EXPECT_EQ(request->id, 6u);
    EXPECT_EQ(request->bulk.size(), 100'000u);
  });
}

TEST_F(RpcChannelTest, ClientThatTheServerDoesNotTakeHearsWhy) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels();
    rpc::Hello hello;
    rpc::Welcome welcome;
    WelcomeCompletion refuse = [](const rpc::Hello&, rpc::Welcome&) -> Result<void> {
      return Error{Errc::kBusy, "come later"};
    };
    const auto [at_client, at_server] =
        co_await (GreetServer(*client, std::move(hello)) &&
                  GreetClient(*server, std::move(welcome), std::move(refuse)));
    CO_EXPECT_ERROR(at_server, Errc::kBusy);
    CO_ASSERT_TRUE(!at_client);
    EXPECT_EQ(at_client.error().code, Errc::kBusy);
    EXPECT_EQ(at_client.error().message, "come later");
  });
}

TEST_F(RpcChannelTest, NewerClientThatStillSpeaksOursIsWelcome) {
  Run([this]() -> Awaitable<void> {
    const auto [client, server] = MakeChannels();
    rpc::Hello hello;
    hello.protocol_minimum = 1;
    hello.protocol_maximum = 9;
    rpc::Welcome welcome;
    const auto [at_client, at_server] =
        co_await (GreetServer(*client, std::move(hello)) && GreetClient(*server, std::move(welcome)));
    CO_ASSERT_OK(at_client);
    CO_ASSERT_OK(at_server);
    EXPECT_EQ(at_client->protocol, rpc::kProtocolMaximum);
  });
}

TEST_F(RpcChannelTest, UnknownRequestIsAnsweredAndTheSessionGoesOn) {
  Run([this]() -> Awaitable<void> {
    auto [near, far] = MakeMemoryStreams(context_.get_executor());
    const auto server = RpcChannel::Make(context_.get_executor(), std::move(near));
    CO_ASSERT_OK(server->Enqueue({0, rpc::Welcome{}, {}}));
    // Envelope{id = 5, request = Request{field 900: ""}} with two bulk bytes, as a newer client would send
    // it.
    const std::vector<unsigned char> newer = {7,    0,    0,    0,    2,    0,    0, 0,  //
                                              0x08, 0x05, 0x42, 0x03, 0xA2, 0x38, 0, 1, 2};
    CO_ASSERT_OK(co_await far->WriteAll(std::as_bytes(std::span(newer))));
    const auto known = Wire({6, rpc::Request(rpc::BreakIn{}), {}});
    CO_ASSERT_OK(co_await far->WriteAll(known));
    const auto got = co_await server->Receive();
    CO_ASSERT_OK(got);
    EXPECT_EQ(got->id, 6u);
    const auto client = RpcChannel::Make(context_.get_executor(), std::move(far));
    const auto welcome = co_await client->Receive();
    CO_ASSERT_OK(welcome);
    const auto answer = co_await client->Receive();
    CO_ASSERT_OK(answer);
    EXPECT_EQ(answer->id, 5u);
    const auto* response = std::get_if<rpc::Response>(&answer->message);
    CO_ASSERT_TRUE(response != nullptr);
    const auto* error = std::get_if<Error>(&response->answer);
    CO_ASSERT_TRUE(error != nullptr);
    EXPECT_EQ(error->code, Errc::kUnsupported);
  });
}

TEST_F(RpcChannelTest, ChannelMayBeDestroyedWithMessagesQueued) {
  Run([this]() -> Awaitable<void> {
    auto [client, server] = MakeChannels({}, 4096);
    co_await Greet(*client, *server);
    CO_ASSERT_OK(client->Enqueue(TextEvent("lost", 100'000)));
    co_await test::Pause(milliseconds(5));
    client.reset();
    CO_EXPECT_ERROR(co_await server->Receive(), Errc::kIo);
  });
}

}  // namespace
}  // namespace longwire
