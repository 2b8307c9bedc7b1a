// Peers that speak, but never to the end: the real kdsrv must not wait for them.
#include <gmock/gmock.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "tests/e2e/acceptance/scene.h"
#include "tests/e2e/front_door/crowd.h"
#include "tests/e2e/front_door/server_figures.h"
#include "tests/e2e/front_door/visit.h"
#include "tests/support/coro_test.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/temporary_directory.h"
#include "transport/dial_socket.h"
#include "transport/tls_stream.h"

namespace longwire::test {
namespace {

using std::chrono::milliseconds;

/// Fewer than one address may have.
constexpr std::size_t kPeers = 30;
/// The handshake may last 10 s; with one byte a second a peer gets no further than this.
constexpr std::size_t kMostBytes = 30;

/// Peers that send `text` at one byte a second and count how far they came.
class Loris {
 public:
  Loris(int port, std::string text, bool inside_tls)
      : port_(port), text_(std::move(text)), inside_tls_(inside_tls), thread_([this] { Work(); }) {}
  ~Loris() { thread_.join(); }

  /// How many peers the server has cut off, each before kMostBytes.
  std::size_t cut() const { return cut_; }
  std::size_t connected() const { return connected_; }

 private:
  void Work() {
    boost::asio::io_context context(1);
    for (std::size_t i = 0; i < kPeers; ++i) {
      boost::asio::co_spawn(context, Dribble(context.get_executor()), [](std::exception_ptr) {});
    }
    context.run();
  }

  Awaitable<Result<std::unique_ptr<Stream>>> Reach(Executor executor) {
    auto stream =
        co_await DialTcp(executor, "127.0.0.1", static_cast<std::uint16_t>(port_), 4, milliseconds(10'000));
    if (!stream || !inside_tls_) co_return stream;
    const auto tls = MakeUnverifiedClientContext();
    if (!tls) co_return tls.error();
    TlsStream::Start start;
    auto secured = co_await TlsStream::Handshake(executor, std::move(*stream), *tls, std::move(start));
    if (!secured) co_return secured.error();
    co_return std::move(*secured);
  }

  Awaitable<void> Dribble(Executor executor) {
    auto stream = co_await Reach(executor);
    if (!stream) co_return;
    ++connected_;
    bool gone = false;
    auto listen = [](std::shared_ptr<Stream> from, bool* over) -> Awaitable<void> {
      std::vector<std::byte> bytes(256);
      for (;;) {
        const auto count = co_await from->ReadSome(bytes);
        if (!count || *count == 0) break;
      }
      *over = true;
    };
    const std::shared_ptr<Stream> shared = std::move(*stream);
    boost::asio::co_spawn(executor, listen(shared, &gone), [](std::exception_ptr) {});
    boost::asio::steady_timer pause(executor);
    std::size_t sent = 0;
    for (; !gone && sent < kMostBytes; ++sent) {
      const auto byte = std::as_bytes(std::span(text_)).subspan(sent % text_.size(), 1);
      const auto done = co_await shared->WriteAll(byte, {});
      if (!done) break;
      pause.expires_after(std::chrono::seconds(1));
      co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    if (sent < kMostBytes) ++cut_;
    shared->Close();
    // The reader of this connection still looks at `gone`.
    while (!gone) {
      pause.expires_after(milliseconds(5));
      co_await pause.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
  }

  int port_;
  std::string text_;
  bool inside_tls_;
  std::atomic<std::size_t> cut_ = 0, connected_ = 0;
  std::thread thread_;
};

struct Dawdling {
  friend void PrintTo(const Dawdling& how, std::ostream* out) { *out << how.name; }
  const char* name;
  const char* password;
  std::string text;
  bool inside_tls;
};

class FrontDoorLoris : public testing::TestWithParam<Dawdling> {};

TEST_P(FrontDoorLoris, IsCutOffAndHoldsNobodyUp) {
  const Dawdling& how = GetParam();
  KdsrvProcess server(KDSRV_PATH, how.password);
  ASSERT_NE(server.port(), 0);
  ASSERT_TRUE(Visit(server.port(), how.password));
  const std::size_t before = OpenDescriptors(server.pid());
  milliseconds slowest{0};
  {
    Loris loris(server.port(), how.text, how.inside_tls);
    EXPECT_TRUE(Eventually([&] { return loris.connected() > 0; }));
    for (int visit = 0; visit < 5; ++visit) {
      const auto took = Visit(server.port(), how.password);
      ASSERT_TRUE(took) << took.error().message;
      slowest = std::max(slowest, *took);
    }
    EXPECT_TRUE(Eventually([&] { return loris.cut() >= kPeers; }))
        << loris.cut() << " of " << loris.connected() << " were cut off";
  }
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors(server.pid()) <= before; }));
  std::cout << kPeers << " slow peers: the slowest of 5 honest visits took " << slowest.count() << " ms\n";
}

INSTANTIATE_TEST_SUITE_P(
    Places, FrontDoorLoris,
    testing::Values(
        Dawdling{"Greeting", "", std::string("\x40\x00\x00\x00\x00\x00\x00\x00\x0a\x10", 10), false},
        Dawdling{"TlsHandshake", kPassword, std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
                 false},
        Dawdling{"PasswordExchange", kPassword, std::string("\x01\x41\x00\x04\x05\x06\x07\x08", 8), true}),
    [](const auto& info) { return std::string(info.param.name); });

class FrontDoorGuesses : public Scene {};

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(FrontDoorGuesses, AreCountedByAddressAndStrangersDoNotFillTheLog) {
  TemporaryDirectory directory;
  const std::string log = directory.File("kdsrv.log");
  StartServer({"--log", log});
  for (int i = 0; i < 4; ++i) {
    const auto visit = Visit(port_, "WrongHorse7");
    ASSERT_FALSE(visit);
    EXPECT_EQ(visit.error().code, Errc::kAuthentication) << visit.error().message;
  }
  EXPECT_TRUE(Eventually([&] {
    return FileText(log).find("Failures of this address within a minute: 4.") != std::string::npos;
  })) << FileText(log);
  const auto right = Visit(port_, kPassword);
  EXPECT_TRUE(right) << "slowed, not locked out: " << right.error().message;

  Crowd crowd(port_, Crowd::Source::kManyAddresses);
  for (unsigned i = 0; i < 1000; ++i) Crowd::Say(crowd.Join(), Garbage(i));
  EXPECT_TRUE(Eventually([&] { return crowd.dropped() >= 900; }));
  crowd.Leave();
  ASSERT_TRUE(Visit(port_, kPassword));
  const std::string text = FileText(log);
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 200) << "of 1000 refused strangers";
  EXPECT_THAT(text, testing::HasSubstr("Refused 127.1.0."));
}

TEST_F(FrontDoorGuesses, PeersThatHalfCloseAreNotWaitedFor) {
  StartServer();
  ASSERT_TRUE(Visit(port_, kPassword));
  const std::size_t before = OpenDescriptors(server_->pid());
  Crowd crowd(port_, Crowd::Source::kOwnAddress);
  for (int i = 0; i < 20; ++i) crowd.HalfClose(crowd.Join());
  EXPECT_TRUE(Eventually([&] { return crowd.dropped() == 20; }));
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors(server_->pid()) <= before; }));
  EXPECT_TRUE(Visit(port_, kPassword));
}

}  // namespace
}  // namespace longwire::test
