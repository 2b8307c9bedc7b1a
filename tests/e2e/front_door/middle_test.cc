// Somebody on the network between the real kd and the real kdsrv: listens, repeats, ends TLS, offers less.
#include <gmock/gmock.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "tests/e2e/acceptance/recording_relay.h"
#include "tests/e2e/acceptance/scene.h"
#include "tests/e2e/front_door/crowd.h"
#include "tests/e2e/front_door/server_figures.h"
#include "tests/e2e/front_door/visit.h"
#include "tests/support/temporary_directory.h"
#include "transport/acceptor.h"
#include "transport/dial_socket.h"
#include "transport/tls_stream.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kHandshake = 22, kChangeCipher = 20, kApplicationData = 23;

/// The content types of the TLS records in one direction; empty when the bytes are not records all through. A
/// last record that was cut off counts.
std::vector<int> RecordTypes(const std::string& bytes) {
  std::vector<int> types;
  for (std::size_t at = 0; at < bytes.size();) {
    if (bytes.size() - at < 5 || bytes[at + 1] != 3) return {};
    types.push_back(static_cast<unsigned char>(bytes[at]));
    at += 5u + (static_cast<unsigned char>(bytes[at + 3]) << 8) + static_cast<unsigned char>(bytes[at + 4]);
  }
  return types;
}

class FrontDoorMiddle : public Scene {
 protected:
  /// kd through whoever listens on `port`.
  std::unique_ptr<ChildProcess> KdThrough(const TestMachine& machine, int port, const std::string& commands) {
    return std::make_unique<ChildProcess>(
        std::vector<std::string>{KD_PATH, "-k", KernelString(machine, kPassword, port), "-y",
                                 machine.symbol_directory(), "-bonc", "-c", commands});
  }
};

TEST_F(FrontDoorMiddle, AListenerSeesOneHelloEachWayAndThenOnlyApplicationData) {
  StartServer();
  RecordingRelay relay(port_);
  const auto machine = StartMachine();
  const auto kd = KdThrough(*machine, relay.port(), "db 0xfffff80012200040;lm;k;q");
  ASSERT_EQ(kd->Wait(), 0) << kd->both();
  for (const std::string& way : {relay.from_client(), relay.from_server()}) {
    std::vector<int> types = RecordTypes(way);
    ASSERT_GT(types.size(), 8u);
    EXPECT_EQ(types.front(), kHandshake);
    std::erase(types, kChangeCipher);  // a dummy of TLS 1.3 for old middleboxes
    EXPECT_EQ(std::count(types.begin(), types.end(), kApplicationData), static_cast<long>(types.size()) - 1);
  }
  // "DOS mode" stands in the memory that was dumped.
  for (const char* plain : {"DOS mode", "\x4d\x5a\x90", kPassword, "longwire"}) {
    EXPECT_EQ(relay.recorded().find(plain), std::string::npos) << plain;
  }
}

TEST_F(FrontDoorMiddle, ARepeatedSessionOpensNothing) {
  StartServer();
  std::string said;
  {
    RecordingRelay relay(port_);
    ASSERT_TRUE(Visit(relay.port(), kPassword));
    ASSERT_TRUE(Eventually([&] { return !relay.from_client().empty(); }));
    said = relay.from_client();
  }
  ASSERT_TRUE(server_->WaitFor("connected from ")) << server_->both();
  Crowd crowd(port_, Crowd::Source::kOwnAddress);
  Crowd::Say(crowd.Join(), said);
  EXPECT_TRUE(server_->WaitFor("Refused 127.0.0.1:")) << server_->both();
  EXPECT_TRUE(Eventually([&] { return crowd.dropped() == 1; }));
  EXPECT_FALSE(server_->WaitFor("connected from ", std::chrono::milliseconds(200))) << server_->both();
}

/// Ends TLS towards both sides and passes on what is inside.
class TlsMiddle {
 public:
  explicit TlsMiddle(int server_port) : server_port_(server_port) {
    auto bound = BindTcp(context_.get_executor(), {.loopback_only = true, .ip_version = 4});
    if (!bound) return;
    port_ = bound->port;
    acceptor_ = std::move(bound->acceptors.front());
    boost::asio::co_spawn(context_, Work(), boost::asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~TlsMiddle() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  int port() const { return port_; }
  /// Bytes it read in clear: without them the test would not have tested anything.
  std::size_t passed() const { return passed_; }

 private:
  Awaitable<Result<std::unique_ptr<TlsStream>>> Secure(std::unique_ptr<Stream> stream, TlsStream::Side side) {
    const auto context =
        side == TlsStream::Side::kServer ? MakeEphemeralServerContext() : MakeUnverifiedClientContext();
    if (!context) co_return context.error();
    TlsStream::Start start;
    start.side = side;
    co_return co_await TlsStream::Handshake(context_.get_executor(), std::move(stream), *context,
                                            std::move(start));
  }

  Awaitable<void> Work() {
    auto client = co_await acceptor_->Accept();
    auto server = co_await DialTcp(context_.get_executor(), "127.0.0.1",
                                   static_cast<std::uint16_t>(server_port_), 4, std::chrono::seconds(10));
    if (!client || !server) co_return;
    auto upper = co_await Secure(std::move(*client), TlsStream::Side::kServer);
    auto lower = co_await Secure(std::move(*server), TlsStream::Side::kClient);
    if (!upper || !lower) co_return;
    const std::shared_ptr<Stream> one = std::move(*upper), other = std::move(*lower);
    boost::asio::co_spawn(context_, Pass(one, other), boost::asio::detached);
    co_await Pass(other, one);
  }

  Awaitable<void> Pass(std::shared_ptr<Stream> from, std::shared_ptr<Stream> to) {
    std::vector<std::byte> bytes(4096);
    for (;;) {
      const auto count = co_await from->ReadSome(bytes);
      if (!count || *count == 0) break;
      passed_ += *count;
      const auto sent = co_await to->WriteAll(std::span(bytes).first(*count), {});
      if (!sent) break;
    }
    to->Close();
  }

  int server_port_, port_ = 0;
  boost::asio::io_context context_{1};
  std::unique_ptr<Acceptor> acceptor_;
  std::atomic<std::size_t> passed_ = 0;
  std::thread thread_;
};

TEST_F(FrontDoorMiddle, WhoEndsTlsIsRefusedThoughBothSidesHaveTheRightPassword) {
  StartServer();
  TlsMiddle middle(port_);
  const auto machine = StartMachine();
  const auto kd = KdThrough(*machine, middle.port(), "q");
  EXPECT_EQ(kd->Wait(), 3) << kd->both();
  EXPECT_THAT(kd->both(), HasSubstr("0x80004005"));
  EXPECT_TRUE(server_->WaitFor("Failures of this address within a minute: 1.")) << server_->both();
  EXPECT_GT(middle.passed(), 100u);
  EXPECT_THAT(server_->both(), Not(HasSubstr("connected from ")));
}

bool HasOpenssl() { return ::system("command -v openssl >/dev/null 2>&1") == 0; }

TEST_F(FrontDoorMiddle, AClientThatOffersOnlyTls12IsRefusedByAServerWithAPassword) {
  if (!HasOpenssl()) GTEST_SKIP() << "no openssl program";
  StartServer();
  ChildProcess client(
      {"/bin/sh", "-c",
       "exec openssl s_client -tls1_2 -connect 127.0.0.1:" + std::to_string(port_) + " </dev/null"});
  const auto exit = client.Wait();
  EXPECT_TRUE(exit && *exit != 0) << client.both();
  EXPECT_THAT(client.both(), HasSubstr("protocol version"));
  EXPECT_TRUE(server_->WaitFor("No TLS version in common")) << server_->both();
}

TEST_F(FrontDoorMiddle, AServerThatOffersOnlyTls12IsRefusedByAClientWithAPassword) {
  if (!HasOpenssl()) GTEST_SKIP() << "no openssl program";
  TemporaryDirectory directory;
  const std::string key = directory.File("key.pem"), certificate = directory.File("certificate.pem");
  ChildProcess make({"/bin/sh", "-c",
                     "exec openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=middle -keyout " + key +
                         " -out " + certificate});
  ASSERT_EQ(make.Wait(), 0) << make.both();
  ChildProcess server(
      {"/bin/sh", "-c",
       "exec openssl s_server -tls1_2 -accept 127.0.0.1:0 -naccept 1 -key " + key + " -cert " + certificate},
      ChildProcess::Input::kPipe);
  ASSERT_TRUE(server.WaitFor("ACCEPT 127.0.0.1:")) << server.both();
  ASSERT_TRUE(server.WaitFor("\n")) << server.both();
  const std::string said = server.both();
  const int port = std::stoi(said.substr(said.find("ACCEPT 127.0.0.1:") + 17));
  const auto visit = Visit(port, kPassword);
  ASSERT_FALSE(visit);
  EXPECT_THAT(visit.error().message, HasSubstr("No TLS version in common"));
}

}  // namespace
}  // namespace longwire::test
