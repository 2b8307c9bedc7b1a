// Strangers that begin real TLS handshakes, which cost the real kdsrv processor time, as fast as they can.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <iostream>
#include <thread>

#include "tests/e2e/acceptance/scene.h"
#include "tests/e2e/front_door/crowd.h"
#include "tests/e2e/front_door/server_figures.h"
#include "tests/e2e/front_door/visit.h"
#include "tests/support/loopback.h"
#include "transport/handshake_turns.h"

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;

/// What a client as kd is one sends first; nothing in it belongs to a server.
std::string RecordHello() {
  int port = 0;
  const int listener = ListenOnLoopback(1, &port);
  std::thread client([port] { (void)Visit(port, kPassword); });
  const int peer = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  std::string hello;
  char bytes[4096];
  const auto wanted = [&hello] {
    return hello.size() < 5
               ? 5u
               : 5u + (static_cast<unsigned char>(hello[3]) << 8) + static_cast<unsigned char>(hello[4]);
  };
  while (hello.size() < wanted()) {
    const ssize_t count = recv(peer, bytes, sizeof bytes, 0);
    if (count <= 0) break;
    hello.append(bytes, static_cast<std::size_t>(count));
  }
  close(peer);
  close(listener);
  client.join();
  return hello;
}

class FrontDoorHandshakes : public Scene {
 protected:
  void SetUp() override {
    RaiseDescriptorLimit();
    hello_ = RecordHello();
    ASSERT_GT(hello_.size(), 100u);
    StartServer();
    ASSERT_TRUE(Visit(port_, kPassword));
  }

  /// `count` strangers, each of whom begins; `between` runs after each fiftieth.
  void Storm(Crowd& crowd, int count, const std::function<void()>& between) {
    for (int i = 0; i < count; ++i) {
      sockets_.push_back(crowd.Join());
      ASSERT_GE(sockets_.back(), 0);
      Crowd::Say(sockets_.back(), hello_);
      if (i % 50 == 49) between();
    }
  }
  /// Those for whom the server did its part of the handshake.
  int answered() const {
    int count = 0;
    char byte = 0;
    for (const int socket : sockets_) count += recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? 1 : 0;
    return count;
  }
  /// What the limits allow in the time since `begin`.
  static int Allowed(Clock::time_point begin, unsigned per_second, unsigned at_once) {
    const std::chrono::duration<double> passed = Clock::now() - begin;
    return static_cast<int>(at_once + std::ceil(passed.count() * per_second));
  }

  std::string hello_;
  std::vector<int> sockets_;
  HandshakeLimits limits_;
};

TEST_F(FrontDoorHandshakes, OfManyAddressesAreBoundedAndTheHonestClientIsServed) {
  Crowd crowd(port_, Crowd::Source::kManyAddresses);
  const auto begin = Clock::now();
  int visits = 0;
  std::chrono::milliseconds slowest{0};
  Storm(crowd, 2000, [&] {
    const auto took = Visit(port_, kPassword);
    EXPECT_TRUE(took) << "visit " << visits << ": " << took.error().message;
    ++visits;
    if (took) slowest = std::max(slowest, *took);
  });
  const int done = answered(), allowed = Allowed(begin, limits_.per_second, limits_.at_once);
  std::cout << "2000 hellos: " << done << " were answered, " << allowed << " allowed; " << visits
            << " honest visits, the slowest took " << slowest.count() << " ms\n";
  EXPECT_GT(done, 0) << "these were no hellos";
  EXPECT_LE(done, allowed);
}

TEST_F(FrontDoorHandshakes, OfOneAddressAreBoundedSaidAndOver) {
  Crowd crowd(port_, Crowd::Source::kOwnAddress);
  const auto begin = Clock::now();
  Storm(crowd, 600, [] {});
  EXPECT_TRUE(server_->WaitFor("wait their turn")) << server_->both();
  const int done = answered(), allowed = Allowed(begin, limits_.host_per_second, limits_.host_at_once);
  std::cout << "600 hellos: " << done << " were answered, " << allowed << " allowed\n";
  EXPECT_GT(done, 0) << "these were no hellos";
  EXPECT_LE(done, allowed);
  crowd.Leave();
  const auto took = Visit(port_, kPassword);
  EXPECT_TRUE(took) << took.error().message;
  const std::string said = server_->both();
  int times = 0;
  for (std::size_t at = said.find("wait their turn"); at != std::string::npos;
       at = said.find("wait their turn", at + 1))
    ++times;
  EXPECT_LE(times, 1 + (Clock::now() - begin) / std::chrono::minutes(1)) << "said once a minute";
}

}  // namespace
}  // namespace longwire::test
