#include "transport/serial_channel.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "tests/contract/transport/stream_pairs.h"
#include "tests/support/coro_test.h"
#include "transport/listener.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using namespace boost::asio::experimental::awaitable_operators;
using std::chrono::milliseconds;
using test::Cable;

constexpr milliseconds kLimit{4000};

Awaitable<Result<std::unique_ptr<Listener>>> ServerOn(Executor executor, std::string device,
                                                      std::string rest) {
  auto endpoint = ParseServerEndpoint("com:port=" + device + ",baud=1500000," + rest);
  if (!endpoint) co_return endpoint.error();
  co_return Listen(executor, std::move(*endpoint));
}

Awaitable<Result<std::unique_ptr<Stream>>> ClientOn(Executor executor, std::string device, std::string rest) {
  auto endpoint = ParseClientEndpoint("com:port=" + device + ",baud=1500000," + rest);
  if (!endpoint) co_return endpoint.error();
  co_return co_await Dial(executor, std::move(*endpoint));
}

class SerialChannel : public testing::Test {
 protected:
  template <class Body>
  void Run(Body body) {
    test::RunTest(context_, [this, &body]() -> Awaitable<void> {
      const auto cable = test::LayCable(context_.get_executor());
      CO_ASSERT_OK(cable);
      co_await body(context_.get_executor(), *cable);
    });
  }
  boost::asio::io_context context_{1};
};

TEST_F(SerialChannel, ServersAndClientsShareALine) {
  Run([](Executor executor, Cable cable) -> Awaitable<void> {
    std::vector<std::unique_ptr<Listener>> servers;
    for (const int channel : {0, 1, 254}) {
      auto server = co_await ServerOn(executor, cable.far, "channel=" + std::to_string(channel));
      CO_ASSERT_OK(server);
      servers.push_back(std::move(*server));
    }
    // Two clients of the first server, one of each of the others.
    std::vector<std::unique_ptr<Stream>> near, far;
    for (const int which : {0, 0, 1, 2}) {
      const std::string channel = which == 2 ? "254" : std::to_string(which);
      auto client = co_await ClientOn(executor, cable.near, "channel=" + channel);
      CO_ASSERT_OK(client);
      auto served = co_await servers[static_cast<std::size_t>(which)]->Accept();
      CO_ASSERT_OK(served);
      EXPECT_NE((*served)->peer().address.find("channel " + channel), std::string::npos);
      near.push_back(std::move(*client));
      far.push_back(std::move(*served));
    }
    for (std::size_t i = 0; i < near.size(); ++i) {
      const std::vector<std::byte> sent(1000, static_cast<std::byte>(i + 1));
      CO_ASSERT_OK(co_await near[i]->WriteAll(sent));
    }
    for (std::size_t i = 0; i < far.size(); ++i) {
      std::vector<std::byte> all(1000), some(1000);
      for (std::size_t have = 0; have < all.size();) {
        const auto count = co_await far[i]->ReadSome(std::span(all).subspan(have));
        CO_ASSERT_OK(count);
        have += *count;
      }
      CO_ASSERT_TRUE(all == std::vector<std::byte>(1000, static_cast<std::byte>(i + 1)));
    }
  });
}

TEST_F(SerialChannel, PasswordsWorkOverIt) {
  Run([](Executor executor, Cable cable) -> Awaitable<void> {
    auto server = co_await ServerOn(executor, cable.far, "channel=3,password=Sesame42");
    CO_ASSERT_OK(server);
    CO_EXPECT_ERROR(co_await ClientOn(executor, cable.near, "channel=3,password=sesame42"),
                    Errc::kAuthentication);
    auto client = co_await ClientOn(executor, cable.near, "channel=3,password=Sesame42");
    CO_ASSERT_OK(client);
    auto served = co_await (*server)->Accept();
    CO_ASSERT_OK(served);
    const auto near = RpcChannel::Make(executor, std::move(*client));
    const auto far = RpcChannel::Make(executor, std::move(*served));
    rpc::Hello hello;
    rpc::Welcome welcome;
    const auto [told, greeted] =
        co_await (GreetServer(*near, std::move(hello)) && GreetClient(*far, std::move(welcome)));
    CO_ASSERT_OK(told);
    CO_ASSERT_OK(greeted);
  });
}

TEST_F(SerialChannel, AChannelWaitsLongerForAPeerOnASlowLine) {
  Run([](Executor executor, Cable cable) -> Awaitable<void> {
    // A pty carries bytes at once whatever its rate is called; what counts is what follows from the rate.
    const std::string at = "com:port=" + cable.far + ",baud=9600,channel=1,password=Sesame42";
    const auto server = Listen(executor, *ParseServerEndpoint(at));
    CO_ASSERT_OK(server);
    const std::string from = "com:port=" + cable.near + ",baud=9600,channel=1,password=Sesame42";
    Endpoint endpoint = *ParseClientEndpoint(from);
    auto client = co_await Dial(executor, std::move(endpoint));
    CO_ASSERT_OK(client);
    auto served = co_await (*server)->Accept();
    CO_ASSERT_OK(served);
    // Full driver buffers of 8192 bytes take 8.5 s: the 3 s of a network would end a busy connection.
    EXPECT_GE((*client)->peer().drain, milliseconds(8500));
    EXPECT_GE((*client)->peer().slowness, (*client)->peer().drain);
    EXPECT_LE(SerialSlowness(1'500'000), milliseconds(1000));
    EXPECT_EQ((*client)->peer().slowness, (*served)->peer().slowness);
    const auto near = RpcChannel::Make(executor, std::move(*client), {.silence = milliseconds(1)});
    bool ended = false;
    boost::asio::co_spawn(executor, near->Receive(),
                          [&](std::exception_ptr, Result<rpc::Envelope>) { ended = true; });
    co_await test::Pause(milliseconds(300));
    EXPECT_FALSE(ended) << "1 ms of silence at 9600 baud is none";
    near->Close();
    while (!ended) co_await test::Pause(milliseconds(1));
  });
}

TEST_F(SerialChannel, RefusalsNameTheirCause) {
  Run([](Executor executor, Cable cable) -> Awaitable<void> {
    auto server = co_await ServerOn(executor, cable.far, "channel=3");
    CO_ASSERT_OK(server);
    CO_EXPECT_ERROR(co_await ServerOn(executor, cable.far, "channel=3"), Errc::kBusy);
    CO_EXPECT_ERROR(co_await ClientOn(executor, cable.near, "channel=4"), Errc::kUnreachable);
    const SerialPlace slower{cable.far, 9600, 5};
    CO_EXPECT_ERROR(BindSerialChannel(executor, slower), Errc::kLinkInUse);
  });
}

TEST_F(SerialChannel, ASilentLineTimesOut) {
  Run([](Executor executor, Cable cable) -> Awaitable<void> {
    const SerialPlace place{cable.near, 1'500'000, 3};
    CO_EXPECT_ERROR(co_await DialSerialChannel(executor, place, milliseconds(50), nullptr), Errc::kTimedOut);
  });
}

TEST_F(SerialChannel, ANewClientFindsTheServerAfterTheLastOneLeft) {
  Run([](Executor executor, Cable cable) -> Awaitable<void> {
    auto server = co_await ServerOn(executor, cable.far, "channel=3");
    CO_ASSERT_OK(server);
    // Holds the near end: the cable of this test hangs up when it is closed.
    const SerialPlace other{cable.near, 1'500'000, 200};
    const auto holder = BindSerialChannel(executor, other);
    CO_ASSERT_OK(holder);
    for (int i = 0; i < 3; ++i) {
      auto client = co_await ClientOn(executor, cable.near, "channel=3");
      CO_ASSERT_OK(client);
      auto served = co_await (*server)->Accept();
      CO_ASSERT_OK(served);
      (*client)->Close();
      std::array<std::byte, 1> one{};
      const auto end = co_await (*served)->ReadSome(one);
      CO_ASSERT_OK(end);
      CO_ASSERT_EQ(*end, 0u);
    }
  });
}

}  // namespace
}  // namespace longwire
