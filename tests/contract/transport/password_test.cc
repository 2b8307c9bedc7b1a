#include "transport/password.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <filesystem>
#include <fstream>

#include "proto/rpc/frame.h"
#include "tests/contract/transport/stream_pairs.h"
#include "tests/support/coro_test.h"
#include "transport/acceptor.h"
#include "transport/dial_socket.h"
#include "transport/line_limit.h"
#include "transport/listener.h"
#include "transport/password_message.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using namespace boost::asio::experimental::awaitable_operators;
using std::chrono::milliseconds;

constexpr std::string_view kPassword = "Sesame42";

Endpoint ServerAt(std::optional<std::string_view> password) {
  Endpoint endpoint;
  if (password) endpoint.password = Secret(*password);
  return endpoint;
}

Endpoint ClientOf(std::uint16_t port, std::optional<std::string_view> password) {
  Endpoint endpoint = ServerAt(password);
  endpoint.side = EndpointSide::kClient;
  endpoint.server = "127.0.0.1";
  endpoint.port = {port, port};
  return endpoint;
}

/// What a machine in the middle does with the bytes it passes on.
struct Relay {
  std::vector<std::byte> seen;

  static Awaitable<void> Pass(std::shared_ptr<Relay> relay, std::shared_ptr<Stream> from,
                              std::shared_ptr<Stream> to) {
    std::vector<std::byte> bytes(4096);
    for (;;) {
      const auto count = co_await from->ReadSome(bytes);
      if (!count || *count == 0) break;
      const auto part = std::span(bytes).first(*count);
      relay->seen.insert(relay->seen.end(), part.begin(), part.end());
      const auto passed = co_await to->WriteAll(part, {});
      if (!passed) break;
    }
    to->Close();
  }
};

class PasswordTest : public testing::Test {
 protected:
  Executor executor() { return context_.get_executor(); }

  template <class Body>
  void Run(Body body) {
    test::RunTest(context_, std::move(body));
  }

  std::unique_ptr<Listener> MustListen(std::optional<std::string_view> password, ListenOptions options = {}) {
    options.warn = [this](const std::string& line) { warnings_ += line + "\n"; };
    auto listener = Listen(executor(), ServerAt(password), options);
    EXPECT_TRUE(listener) << listener.error().message;
    return listener ? std::move(*listener) : nullptr;
  }

  /// Accepts one raw connection and gives it to `serve(client, server)` with one to `port`.
  template <class Serve>
  std::uint16_t StartMiddle(std::uint16_t port, Serve serve) {
    auto bound = BindTcp(executor(), {.loopback_only = true, .ip_version = 4});
    EXPECT_TRUE(bound);
    auto acceptor = std::shared_ptr<Acceptor>(std::move(bound->acceptors.front()));
    boost::asio::co_spawn(
        context_,
        [this, acceptor, port, serve]() -> Awaitable<void> {
          auto client = co_await acceptor->Accept();
          CO_ASSERT_OK(client);
          auto server = co_await DialTcp(executor(), "127.0.0.1", port, 4, milliseconds(1000));
          CO_ASSERT_OK(server);
          co_await serve(std::shared_ptr<Stream>(std::move(*client)),
                         std::shared_ptr<Stream>(std::move(*server)));
        },
        boost::asio::detached);
    return bound->port;
  }

  boost::asio::io_context context_{1};
  std::string warnings_;
};

TEST_F(PasswordTest, RightPasswordConnects) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    const auto client = co_await Dial(executor(), ClientOf(listener->endpoint().port.first, kPassword));
    CO_ASSERT_OK(client);
    const auto server = co_await listener->Accept();
    CO_ASSERT_OK(server);
    const std::string text = "hello";
    CO_ASSERT_OK(co_await (*client)->WriteAll(std::as_bytes(std::span(text))));
    std::array<std::byte, 16> bytes{};
    const auto count = co_await (*server)->ReadSome(bytes);
    CO_ASSERT_OK(count);
    EXPECT_EQ(*count, 5u);
  });
}

TEST_F(PasswordTest, WrongPasswordIsRefusedWithTheDocumentedNumber) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    const auto client = co_await Dial(executor(), ClientOf(listener->endpoint().port.first, "sesame42"));
    CO_ASSERT_TRUE(!client);
    EXPECT_EQ(client.error().code, Errc::kAuthentication);
    EXPECT_NE(client.error().message.find("0x80004005"), std::string::npos) << client.error().message;
    co_await test::Pause(milliseconds(20));
    EXPECT_NE(warnings_.find("Refused 127.0.0.1:"), std::string::npos) << warnings_;
    EXPECT_EQ(warnings_.find("Sesame42"), std::string::npos);
    EXPECT_EQ(warnings_.find("sesame42"), std::string::npos);
  });
}

TEST_F(PasswordTest, FourthWrongGuessIsHeldUp) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    const auto port = listener->endpoint().port.first;
    for (int i = 0; i < 3; ++i) CO_ASSERT_TRUE(!co_await Dial(executor(), ClientOf(port, "wrong")));
    const auto begin = std::chrono::steady_clock::now();
    Endpoint impatient = ClientOf(port, kPassword);
    impatient.connect_timeout_seconds = 1;
    const auto right = co_await Dial(executor(), std::move(impatient));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(950));
    CO_ASSERT_OK(right);  // slowed, not locked out, and the announced wait is added to the client's own limit
  });
}

TEST_F(PasswordTest, ClientWithoutPasswordIsToldSo) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    auto stream = co_await Dial(executor(), ClientOf(listener->endpoint().port.first, std::nullopt));
    CO_ASSERT_OK(stream);
    const auto channel = RpcChannel::Make(executor(), std::move(*stream));
    rpc::Hello hello;
    const auto welcome = co_await GreetServer(*channel, std::move(hello));
    CO_ASSERT_TRUE(!welcome);
    EXPECT_EQ(welcome.error().code, Errc::kAuthentication) << welcome.error().message;
    EXPECT_NE(welcome.error().message.find("0x80004005"), std::string::npos);
  });
}

TEST_F(PasswordTest, PasswordForAServerWithoutOneIsAnError) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(std::nullopt);
    const auto serve = [&]() -> Awaitable<void> {
      auto stream = co_await listener->Accept();
      CO_ASSERT_OK(stream);
      const auto channel = RpcChannel::Make(executor(), std::move(*stream));
      rpc::Welcome welcome;
      CO_EXPECT_ERROR(co_await GreetClient(*channel, std::move(welcome)), Errc::kMalformed);
    };
    boost::asio::co_spawn(context_, serve, boost::asio::detached);
    const auto client = co_await Dial(executor(), ClientOf(listener->endpoint().port.first, kPassword));
    CO_ASSERT_TRUE(!client);
    EXPECT_NE(client.error().message.find("started with a password"), std::string::npos)
        << client.error().message;
  });
}

TEST_F(PasswordTest, NothingOfThePasswordIsOnTheWire) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    const auto relay = std::make_shared<Relay>();
    const auto port = StartMiddle(
        listener->endpoint().port.first, [this, relay](auto client, auto server) -> Awaitable<void> {
          boost::asio::co_spawn(context_, Relay::Pass(relay, client, server), boost::asio::detached);
          boost::asio::co_spawn(context_, Relay::Pass(relay, server, client), boost::asio::detached);
          co_return;
        });
    const auto client = co_await Dial(executor(), ClientOf(port, kPassword));
    CO_ASSERT_OK(client);
    EXPECT_GT(relay->seen.size(), 500u);
    const auto key = DerivePasswordKey(Secret(kPassword));
    CO_ASSERT_OK(key);
    const auto contains = [&](std::span<const std::byte> needle) {
      return std::search(relay->seen.begin(), relay->seen.end(), needle.begin(), needle.end()) !=
             relay->seen.end();
    };
    EXPECT_FALSE(contains(std::as_bytes(std::span(kPassword))));
    EXPECT_FALSE(contains(std::span(key->w).first(8)));
  });
}

/// Gives a shared stream to something that wants to own one.
class Borrowed final : public Stream {
 public:
  explicit Borrowed(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    return stream_->ReadSome(out);
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    return stream_->WriteAll(head, body);
  }
  Awaitable<Result<void>> ShutdownWrite() override { return stream_->ShutdownWrite(); }
  void Close() noexcept override { stream_->Close(); }
  const PeerInfo& peer() const noexcept override { return stream_->peer(); }

 private:
  std::shared_ptr<Stream> stream_;
};

/// Ends TLS on both sides, so that it could read everything, and passes the password exchange on untouched.
Awaitable<void> RelayInsideTls(Executor executor, std::shared_ptr<Stream> client,
                               std::shared_ptr<Stream> server) {
  const auto server_context = MakeEphemeralServerContext();
  const auto client_context = MakeUnverifiedClientContext();
  TlsStream::Start as_server, as_client;
  as_server.side = TlsStream::Side::kServer;
  auto to_client = co_await TlsStream::Handshake(executor, std::make_unique<Borrowed>(client),
                                                 *server_context, std::move(as_server));
  CO_ASSERT_OK(to_client);
  auto to_server = co_await TlsStream::Handshake(executor, std::make_unique<Borrowed>(server),
                                                 *client_context, std::move(as_client));
  CO_ASSERT_OK(to_server);
  const auto relay = std::make_shared<Relay>();
  const auto upper = std::shared_ptr<Stream>(std::move(*to_client)),
             lower = std::shared_ptr<Stream>(std::move(*to_server));
  boost::asio::co_spawn(executor, Relay::Pass(relay, upper, lower), boost::asio::detached);
  boost::asio::co_spawn(executor, Relay::Pass(relay, lower, upper), boost::asio::detached);
}

TEST_F(PasswordTest, MachineInTheMiddleIsRefusedThoughBothSidesKnowThePassword) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    const auto port = StartMiddle(listener->endpoint().port.first, [this](auto client, auto server) {
      return RelayInsideTls(executor(), std::move(client), std::move(server));
    });
    const auto client = co_await Dial(executor(), ClientOf(port, kPassword));
    CO_ASSERT_TRUE(!client);
    EXPECT_EQ(client.error().code, Errc::kAuthentication) << client.error().message;
  });
}

TEST_F(PasswordTest, SilentPeersAreDroppedOldestFirst) {
  Run([this]() -> Awaitable<void> {
    ListenOptions options;
    options.candidates.silent.total = 2;
    const auto begin = std::chrono::steady_clock::now();
    const auto listener = MustListen(kPassword, options);
    const auto port = listener->endpoint().port.first;
    std::vector<std::unique_ptr<Stream>> silent;
    for (int i = 0; i < 3; ++i) {
      auto stream = co_await DialTcp(executor(), "127.0.0.1", port, 4, milliseconds(1000));
      CO_ASSERT_OK(stream);
      silent.push_back(std::move(*stream));
    }
    std::array<std::byte, 1> byte{};
    const auto end = co_await silent.front()->ReadSome(byte);
    EXPECT_TRUE(!end || *end == 0) << "the first was dropped for the third";
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(5'000)) << "not by its own deadline";
    const auto client = co_await Dial(executor(), ClientOf(port, kPassword));
    CO_ASSERT_OK(client);
  });
}

TEST_F(PasswordTest, HelloThatAnnouncesTooMuchIsRefusedBeforeItComes) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    auto stream =
        co_await DialTcp(executor(), "127.0.0.1", listener->endpoint().port.first, 4, milliseconds(1000));
    CO_ASSERT_OK(stream);
    // A handshake record of 8 KiB that begins with a ClientHello.
    const std::array<unsigned char, 6> head{0x16, 3, 1, 0x20, 0, 1};
    CO_ASSERT_OK(co_await (*stream)->WriteAll(std::as_bytes(std::span(head)), {}));
    std::array<std::byte, 1> byte{};
    const auto end = co_await (*stream)->ReadSome(byte);
    EXPECT_TRUE(!end || *end == 0);
    EXPECT_NE(warnings_.find("a hello of at most 4 KiB"), std::string::npos) << warnings_;
  });
}

TEST_F(PasswordTest, StrangersPutNoTextIntoTheLogAndDoNotFillIt) {
  Run([this]() -> Awaitable<void> {
    const auto listener = MustListen(kPassword);
    const auto port = listener->endpoint().port.first;
    const auto context = MakeUnverifiedClientContext();
    const auto refusal = EncodePasswordMessage(PasswordRefused{"first\nsecond\x1b[2J"});
    for (std::size_t i = 0; i < LineLimit::kLines + 8; ++i) {
      auto raw = co_await DialTcp(executor(), "127.0.0.1", port, 4, milliseconds(1000));
      CO_ASSERT_OK(raw);
      TlsStream::Start start;
      auto tls = co_await TlsStream::Handshake(executor(), std::move(*raw), *context, std::move(start));
      CO_ASSERT_OK(tls);
      CO_ASSERT_OK(co_await (*tls)->WriteAll(refusal, {}));
      std::array<std::byte, 256> bytes{};
      for (bool over = false; !over;) {
        const auto count = co_await (*tls)->ReadSome(bytes);
        over = !count || *count == 0;
      }
    }
    EXPECT_EQ(warnings_.find("[2J"), std::string::npos) << warnings_;
    const std::string line = "Refused 127.0.0.1:";
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = warnings_.find(line, at)) != std::string::npos; ++at) ++lines;
    EXPECT_GE(lines, LineLimit::kLines);
    EXPECT_LT(lines, LineLimit::kLines + 8);
  });
}

TEST_F(PasswordTest, WithoutPasswordOnlyLoopbackIsBoundAndItIsSaid) {
  const auto listener = MustListen(std::nullopt);
  EXPECT_NE(warnings_.find("this machine only"), std::string::npos) << warnings_;
  std::ifstream table("/proc/net/tcp");
  std::array<char, 8> hex{};
  std::snprintf(hex.data(), hex.size(), ":%04X", listener->endpoint().port.first);
  bool found = false;
  for (std::string line; std::getline(table, line);) {
    if (line.find(std::string(hex.data()) + " 00000000:0000 0A") == std::string::npos) continue;
    found = true;
    EXPECT_NE(line.find("0100007F" + std::string(hex.data())), std::string::npos) << line;
  }
  EXPECT_TRUE(found);
}

TEST_F(PasswordTest, PortRangeTakesTheNextFreePort) {
  const auto first = MustListen(std::nullopt);
  Endpoint second = ServerAt(std::nullopt);
  const std::uint16_t taken = first->endpoint().port.first;
  if (taken > 65'000) GTEST_SKIP() << "no room above the port the system chose";
  second.port = {taken, static_cast<std::uint16_t>(taken + 50)};
  const auto listener = Listen(executor(), second, {});
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_GT((*listener)->endpoint().port.first, taken);
  EXPECT_EQ((*listener)->endpoint().port.last, taken + 50);
  Endpoint same = ServerAt(std::nullopt);
  same.port = {taken, taken};
  EXPECT_FALSE(Listen(executor(), same, {}));
}

class PipeTest : public PasswordTest {
 protected:
  void SetUp() override { ::setenv("XDG_RUNTIME_DIR", test::ScratchDirectory().c_str(), 1); }

  static Endpoint Pipe(const std::string& name, EndpointSide side,
                       std::optional<std::string_view> password = {}) {
    Endpoint endpoint = ServerAt(password);
    endpoint.protocol = Protocol::kNamedPipe;
    endpoint.side = side;
    endpoint.server = side == EndpointSide::kClient ? "." : "";
    endpoint.pipe = name;
    return endpoint;
  }
};

TEST_F(PipeTest, ConnectsWithPasswordWhateverTheCaseOfTheName) {
  Run([this]() -> Awaitable<void> {
    const auto listener = Listen(executor(), Pipe("Lab_%d", EndpointSide::kServer, kPassword), {});
    CO_ASSERT_OK(listener);
    EXPECT_EQ((*listener)->endpoint().pipe, "Lab_" + std::to_string(::getpid()));
    const auto client = co_await Dial(
        executor(), Pipe("lAB_" + std::to_string(::getpid()), EndpointSide::kClient, kPassword));
    CO_ASSERT_OK(client);
    const auto server = co_await (*listener)->Accept();
    CO_ASSERT_OK(server);
    EXPECT_EQ((*server)->peer().user_id, ::geteuid());
    struct stat directory {};
    CO_ASSERT_EQ(::stat((test::ScratchDirectory() + "/longwire").c_str(), &directory), 0);
    EXPECT_EQ(directory.st_mode & 0777, 0700u);
  });
}

TEST_F(PipeTest, NameInUseIsAnErrorAndIsFreeAfterwards) {
  auto first = Listen(executor(), Pipe("taken", EndpointSide::kServer), {});
  ASSERT_TRUE(first) << first.error().message;
  const auto second = Listen(executor(), Pipe("TAKEN", EndpointSide::kServer), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kBusy) << second.error().message;
  first->reset();
  const auto third = Listen(executor(), Pipe("taken", EndpointSide::kServer), {});
  EXPECT_TRUE(third);
}

TEST_F(PipeTest, SocketOfADeadServerIsReplaced) {
  const std::string directory = test::ScratchDirectory() + "/longwire";
  std::filesystem::create_directory(directory);
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
  // A bound socket whose owner is gone: the file stays, nobody listens.
  auto live = Listen(executor(), Pipe("dead", EndpointSide::kServer), {});
  ASSERT_TRUE(live) << live.error().message;
  std::string path;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_socket() && entry.path().string().find("dead") != std::string::npos) path = entry.path();
  }
  ASSERT_FALSE(path.empty());
  live->reset();
  const int orphan = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{AF_UNIX, {}};
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::copy(path.begin(), path.end(), address.sun_path);
  ASSERT_EQ(::bind(orphan, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(orphan);
  const auto again = Listen(executor(), Pipe("dead", EndpointSide::kServer), {});
  EXPECT_TRUE(again) << again.error().message;
}

TEST_F(PipeTest, OtherMachineIsReachedByACommandAndTheErrorNamesTcp) {
  ::setenv("_DBG_PIPE_RSH", "longwire-no-such-command", 1);
  Run([this]() -> Awaitable<void> {
    Endpoint far = Pipe("x", EndpointSide::kClient);
    far.server = "otherbox.example";
    const auto client = co_await Dial(executor(), std::move(far));
    CO_ASSERT_TRUE(!client);
    EXPECT_EQ(client.error().code, Errc::kNotFound);
    EXPECT_NE(client.error().message.find("longwire-no-such-command"), std::string::npos);
    EXPECT_NE(client.error().message.find("tcp:"), std::string::npos);
  });
  ::unsetenv("_DBG_PIPE_RSH");
}

TEST_F(PipeTest, MissingServerIsUnreachable) {
  Run([this]() -> Awaitable<void> {
    CO_EXPECT_ERROR(co_await Dial(executor(), Pipe("nobody", EndpointSide::kClient)), Errc::kUnreachable);
  });
}

}  // namespace
}  // namespace longwire
