#include <algorithm>
#include <boost/asio/detached.hpp>

#include "tests/contract/transport/lab.h"
#include "tests/support/coro_test.h"
#include "tests/support/own_ports.h"
#include "transport/acceptor.h"
#include "transport/dial_socket.h"
#include "transport/listener.h"

namespace longwire {
namespace {

using std::chrono::milliseconds;

const std::string kPassword = ",password=Sesame42";

class ReverseTest : public testing::Test {
 protected:
  Executor executor() { return context_.get_executor(); }

  template <class Body>
  void Run(Body body) {
    test::RunTest(context_, std::move(body));
  }

  Result<std::unique_ptr<Listener>> Start(std::uint16_t port, const std::string& more = kPassword,
                                          milliseconds hint = milliseconds(60'000)) {
    ListenOptions options;
    options.reverse = {milliseconds(5), milliseconds(20), 3, hint};
    options.warn = [this](const std::string& line) { said_.push_back(line); };
    options.notice = options.warn;
    return Listen(executor(), test::Server("tcp:clicon=localhost,port=" + std::to_string(port) + more),
                  options);
  }

  Awaitable<Result<std::unique_ptr<Stream>>> Await(std::uint16_t port, std::string more = kPassword,
                                                   milliseconds limit = milliseconds(3000)) {
    DialOptions options;
    options.limit = limit;
    options.notice = [this](const std::string& line) { said_.push_back(line); };
    return Dial(executor(), test::Client("tcp:clicon=localhost,port=" + std::to_string(port) + more),
                std::move(options));
  }

  std::size_t Said(const std::string& text) const {
    return static_cast<std::size_t>(std::count_if(said_.begin(), said_.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    }));
  }

  /// A byte from one end reaches the other.
  static Awaitable<void> Check(Stream& from, Stream& to) {
    const std::array<std::byte, 1> sent{std::byte{42}};
    std::array<std::byte, 1> read{};
    CO_ASSERT_OK(co_await from.WriteAll(sent, {}));
    const auto count = co_await to.ReadSome(read);
    CO_ASSERT_OK(count);
    EXPECT_EQ(*count, 1u);
    EXPECT_EQ(read, sent);
  }

  boost::asio::io_context context_{1};
  std::vector<std::string> said_;
};

TEST_F(ReverseTest, ServerStartedFirstKeepsDialling) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    const auto listener = Start(port);
    CO_ASSERT_OK(listener);
    while ((*listener)->state().find("attempt 3") == std::string::npos) co_await test::Pause(milliseconds(1));
    EXPECT_NE((*listener)->state().find("refused"), std::string::npos) << (*listener)->state();
    const auto client = co_await Await(port);
    CO_ASSERT_OK(client);
    const auto server = co_await (*listener)->Accept();
    CO_ASSERT_OK(server);
    EXPECT_NE((*listener)->state().find("connected to "), std::string::npos) << (*listener)->state();
    co_await Check(**client, **server);
  });
}

TEST_F(ReverseTest, SeveralClientsOneAfterAnother) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    const auto listener = Start(port);
    CO_ASSERT_OK(listener);
    for (int i = 0; i < 3; ++i) {
      auto client = co_await Await(port);
      CO_ASSERT_OK(client);
      auto server = co_await (*listener)->Accept();
      CO_ASSERT_OK(server);
      co_await Check(**server, **client);
      client->reset();
      std::array<std::byte, 1> byte{};
      const auto end = co_await (*server)->ReadSome(byte);
      EXPECT_TRUE(!end || *end == 0);
      server->reset();
    }
    while (Said("has left") < 3) co_await test::Pause(milliseconds(1));
  });
}

TEST_F(ReverseTest, WhileOnePeerIsServedNobodyElseIsDialled) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    const auto listener = Start(port);
    CO_ASSERT_OK(listener);
    const auto first = co_await Await(port);
    CO_ASSERT_OK(first);
    const auto server = co_await (*listener)->Accept();
    CO_ASSERT_OK(server);
    const auto second = co_await Await(port, kPassword, milliseconds(150));
    CO_EXPECT_ERROR(second, Errc::kTimedOut);
    co_await Check(**first, **server);
  });
}

TEST_F(ReverseTest, ServerRestartedIsFoundAgain) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    for (int i = 0; i < 2; ++i) {
      auto listener = Start(port);
      CO_ASSERT_OK(listener);
      const auto client = co_await Await(port);
      CO_ASSERT_OK(client);
      auto server = co_await (*listener)->Accept();
      CO_ASSERT_OK(server);
      server->reset();
      listener->reset();
      std::array<std::byte, 1> byte{};
      const auto end = co_await (*client)->ReadSome(byte);
      EXPECT_TRUE(!end || *end == 0);
    }
  });
}

TEST_F(ReverseTest, WrongPasswordIsRefusedAndTheServerDialsOn) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    const auto listener = Start(port);
    CO_ASSERT_OK(listener);
    const auto wrong = co_await Await(port, ",password=wrong");
    CO_EXPECT_ERROR(wrong, Errc::kAuthentication);
    const auto right = co_await Await(port);
    CO_ASSERT_OK(right);
    EXPECT_EQ(Said("Refused 127.0.0.1:") + Said("Refused [::1]:"), 1u);
  });
}

TEST_F(ReverseTest, WithRetry0OneAttemptIsAll) {
  Run([this]() -> Awaitable<void> {
    const auto listener = Start(test::OwnPort(), ",retry=0");
    CO_ASSERT_OK(listener);
    const auto nobody = co_await (*listener)->Accept();
    CO_EXPECT_ERROR(nobody, Errc::kUnreachable);
    EXPECT_TRUE((*listener)->IsOver());
  });
}

TEST_F(ReverseTest, WithRetry0OneConnectionIsAll) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    std::optional<Result<std::unique_ptr<Listener>>> listener;
    DialOptions options;
    options.notice = [&](const std::string&) { listener = Start(port, ",retry=0"); };
    const std::string text = "tcp:clicon=localhost,port=" + std::to_string(port);
    auto client = co_await Dial(executor(), test::Client(text), std::move(options));
    CO_ASSERT_OK(client);
    auto server = co_await (**listener)->Accept();
    CO_ASSERT_OK(server);
    EXPECT_FALSE((**listener)->IsOver());
    server->reset();
    const auto nobody = co_await (**listener)->Accept();
    CO_EXPECT_ERROR(nobody, Errc::kClosed);
    EXPECT_TRUE((**listener)->IsOver());
  });
}

TEST_F(ReverseTest, SaysOnceThatTheOtherSideMayLackClicon) {
  Run([this]() -> Awaitable<void> {
    const auto listener = Start(test::OwnPort(), kPassword, milliseconds(20));
    CO_ASSERT_OK(listener);
    while ((*listener)->state().find("attempt 9") == std::string::npos) co_await test::Pause(milliseconds(1));
    EXPECT_EQ(Said("needs clicon="), 1u);
  });
}

TEST_F(ReverseTest, ClientThatNobodyDialsSaysSo) {
  Run([this]() -> Awaitable<void> {
    const auto nobody = co_await Await(test::OwnPort(), kPassword, milliseconds(30));
    CO_EXPECT_ERROR(nobody, Errc::kTimedOut);
    EXPECT_NE(nobody.error().message.find("needs clicon="), std::string::npos) << nobody.error().message;
  });
}

TEST_F(ReverseTest, PeerFromAnotherAddressIsRefused) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    const auto listener = Start(port);
    CO_ASSERT_OK(listener);
    DialOptions options;
    options.limit = milliseconds(200);
    options.notice = [this](const std::string& line) { said_.push_back(line); };
    const std::string text = "tcp:clicon=192.0.2.1,port=" + std::to_string(port) + kPassword;
    const auto client = co_await Dial(executor(), test::Client(text), std::move(options));
    CO_EXPECT_ERROR(client, Errc::kTimedOut);
    EXPECT_GT(Said("is not an address of 192.0.2.1"), 0u);
    EXPECT_NE(client.error().message.find("Last refused: "), std::string::npos) << client.error().message;
  });
}

TEST_F(ReverseTest, AnyAddressAndAStrangerBeforeTheServer) {
  Run([this]() -> Awaitable<void> {
    const auto port = test::OwnPort();
    std::unique_ptr<Stream> stranger;
    DialOptions options;
    options.notice = [&](const std::string& line) {
      said_.push_back(line);
      if (line.find("Waiting") == std::string::npos) return;
      boost::asio::co_spawn(
          context_,
          [&]() -> Awaitable<void> {
            auto stream = co_await DialTcp(executor(), "127.0.0.1", port, 4, milliseconds(1000));
            CO_ASSERT_OK(stream);
            stranger = std::move(*stream);
            const std::string garbage = "GET / HTTP/1.0\r\n\r\n";
            CO_ASSERT_OK(co_await stranger->WriteAll(std::as_bytes(std::span(garbage))));
          },
          boost::asio::detached);
    };
    const std::string text = "tcp:clicon=*,port=" + std::to_string(port) + kPassword;
    std::optional<Result<std::unique_ptr<Listener>>> listener;
    boost::asio::co_spawn(
        context_,
        [&]() -> Awaitable<void> {
          while (Said("Refused") == 0) co_await test::Pause(milliseconds(1));
          listener = Start(port);
        },
        boost::asio::detached);
    const auto client = co_await Dial(executor(), test::Client(text), std::move(options));
    CO_ASSERT_OK(client);
    CO_ASSERT_TRUE(listener);
    const auto server = co_await (**listener)->Accept();
    CO_ASSERT_OK(server);
    co_await Check(**client, **server);
  });
}

TEST_F(ReverseTest, ClientTakesTheNextFreePortOfItsRangeAndSaysIt) {
  Run([this]() -> Awaitable<void> {
    const auto taken = BindTcp(executor(), {.loopback_only = true, .port = {21'000, 29'000}});
    CO_ASSERT_OK(taken);
    DialOptions options;
    options.limit = milliseconds(20);
    options.notice = [this](const std::string& line) { said_.push_back(line); };
    const std::string range = std::to_string(taken->port) + ":" + std::to_string(taken->port + 60);
    const std::string text = "tcp:clicon=localhost,port=" + range + kPassword;
    CO_EXPECT_ERROR(co_await Dial(executor(), test::Client(text), std::move(options)), Errc::kTimedOut);
    CO_ASSERT_TRUE(!said_.empty());
    const std::size_t at = said_.front().find("on port ");
    CO_ASSERT_TRUE(at != std::string::npos);
    const int chosen = std::stoi(said_.front().substr(at + 8));
    EXPECT_GT(chosen, taken->port);
    EXPECT_LE(chosen, taken->port + 60);
  });
}

TEST_F(ReverseTest, OtherMachinesNeedAPasswordOrOpen) {
  Run([this]() -> Awaitable<void> {
    const auto server = Listen(executor(), test::Server("tcp:clicon=192.0.2.1,port=4000"));
    CO_EXPECT_ERROR(server, Errc::kUsage);
    EXPECT_NE(server.error().message.find("-open"), std::string::npos) << server.error().message;
    const auto client = co_await Dial(executor(), test::Client("tcp:clicon=192.0.2.1,port=21000:29999"));
    CO_EXPECT_ERROR(client, Errc::kUsage);
    EXPECT_NE(client.error().message.find("-open"), std::string::npos) << client.error().message;
    CO_EXPECT_ERROR(Listen(executor(), test::Server("tcp:clicon=*,port=4000" + kPassword)), Errc::kUsage);
  });
}

TEST_F(ReverseTest, PauseGrowsOnlyAfterSteadyAttempts) {
  Run([this]() -> Awaitable<void> {
    ListenOptions options;
    options.reverse = {milliseconds(10), milliseconds(60'000), 3, milliseconds(60'000)};
    const auto begin = std::chrono::steady_clock::now();
    const std::string text = "tcp:clicon=127.0.0.1,port=" + std::to_string(test::OwnPort());
    const auto listener = Listen(executor(), test::Server(text), options);
    CO_ASSERT_OK(listener);
    // 10 + 10 + 10 + 20 + 40 + 80 ms lie before the seventh attempt.
    while ((*listener)->state().find("attempt 7") == std::string::npos) co_await test::Pause(milliseconds(1));
    const auto next = (*listener)->next_attempt();
    CO_ASSERT_TRUE(next.has_value());
    EXPECT_LE(*next, milliseconds(160));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(165));
  });
}

}  // namespace
}  // namespace longwire
