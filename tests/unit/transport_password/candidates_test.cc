#include "transport/candidates.h"

#include <gtest/gtest.h>

#include <deque>

namespace longwire {
namespace {

/// Only knows whether it was closed.
class Peer final : public Stream {
 public:
  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte>) override { co_return std::size_t{0}; }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte>, std::span<const std::byte>) override {
    co_return Result<void>();
  }
  Awaitable<Result<void>> ShutdownWrite() override { co_return Result<void>(); }
  void Close() noexcept override { closed = true; }
  const PeerInfo& peer() const noexcept override { return info_; }
  bool closed = false;

 private:
  PeerInfo info_;
};

class CandidatesTest : public testing::Test {
 protected:
  Candidates::Place Add(const std::string& host) { return candidates_.Add(&peers_.emplace_back(), host); }
  bool Closed(std::size_t index) const { return peers_[index].closed; }

  std::deque<Peer> peers_;
  Candidates candidates_{4, 2};
};

TEST_F(CandidatesTest, OldestOfAFullHostGoesAndTheNewestStays) {
  Add("b");
  Add("a");
  Add("a");
  Add("a");
  EXPECT_FALSE(Closed(0));
  EXPECT_TRUE(Closed(1));
  EXPECT_FALSE(Closed(2));
  EXPECT_FALSE(Closed(3));
}

TEST_F(CandidatesTest, AtTheTotalTheHostWithTheMostPays) {
  Add("one");
  Add("two");
  Add("many");
  Add("many");
  Add("new");
  EXPECT_FALSE(Closed(0));
  EXPECT_FALSE(Closed(1));
  EXPECT_TRUE(Closed(2));
}

TEST_F(CandidatesTest, AmongEqualHostsTheOldestGoes) {
  for (const char* host : {"a", "b", "c", "d", "e"}) Add(host);
  EXPECT_TRUE(Closed(0));
  for (std::size_t i = 1; i < 5; ++i) EXPECT_FALSE(Closed(i)) << i;
}

TEST_F(CandidatesTest, SilentPeersDoNotPushOutOneThatSpeaks) {
  candidates_.Spoke(Add("a"));
  for (int i = 0; i < 100; ++i) Add("a");
  for (int i = 0; i < 100; ++i) Add("host" + std::to_string(i));
  EXPECT_FALSE(Closed(0));
}

TEST_F(CandidatesTest, PeersThatDawdleInTheExchangeKeepNobodyOut) {
  for (const char* host : {"a", "a", "b", "b"}) candidates_.Spoke(Add(host));
  const auto honest = Add("honest");
  for (int i = 0; i < 3; ++i) Add("silent" + std::to_string(i));
  EXPECT_FALSE(Closed(4));
  candidates_.Spoke(honest);
  EXPECT_FALSE(Closed(4));
  EXPECT_TRUE(Closed(0)) << "the oldest in the exchange makes room";
}

TEST_F(CandidatesTest, RemovedPeersCountNoMore) {
  const auto first = Add("a");
  Add("a");
  candidates_.Remove(first);
  Add("a");
  EXPECT_FALSE(Closed(1));
  EXPECT_EQ(candidates_.size(), 2u);
}

}  // namespace
}  // namespace longwire
