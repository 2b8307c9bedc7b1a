#include "transport/candidates.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace longwire {
namespace {

class CandidatesTest : public testing::Test {
 protected:
  Candidates::Place Add(const std::string& host) {
    const std::size_t index = closed_.size();
    closed_.push_back(0);
    return candidates_.Add([this, index] { ++closed_[index]; }, host);
  }
  bool Closed(std::size_t index) const { return closed_[index] == 1; }

  std::vector<int> closed_;  ///< how often
  Candidates candidates_{{4, 2}};
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

TEST_F(CandidatesTest, ThoseThatWereClosedCountNoMoreThoughTheyStay) {
  const auto first = Add("a");
  Add("a");
  candidates_.Close(first);
  EXPECT_FALSE(first->open());
  Add("a");
  EXPECT_FALSE(Closed(1));
  candidates_.Spoke(first);
  candidates_.CloseAll();
  EXPECT_EQ(closed_, (std::vector<int>{1, 1, 1}));
  candidates_.Remove(first);
  EXPECT_EQ(candidates_.size(), 2u);
}

TEST_F(CandidatesTest, AHostThatLeftAndCameBackIsCountedAnew) {
  for (int i = 0; i < 3; ++i) {
    const auto first = Add("a"), second = Add("a");
    candidates_.Spoke(second);
    candidates_.Remove(first);
    candidates_.Remove(second);
  }
  Add("a");
  Add("a");
  for (std::size_t i = 0; i < closed_.size(); ++i) EXPECT_FALSE(Closed(i)) << i;
  EXPECT_EQ(candidates_.size(), 2u);
}

}  // namespace
}  // namespace longwire
