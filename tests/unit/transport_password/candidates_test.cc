#include "transport/candidates.h"

#include <gtest/gtest.h>

#include <list>
#include <string>
#include <vector>

namespace longwire {
namespace {

class CandidatesTest : public testing::Test {
 protected:
  Candidates::Place& Add(const std::string& host) {
    const std::size_t index = closed_.size();
    closed_.push_back(0);
    return places_.emplace_back(
        candidates_, [this, index] { ++closed_[index]; }, host);
  }
  bool Closed(std::size_t index) const { return closed_[index] == 1; }

  std::vector<int> closed_;  ///< how often
  Candidates candidates_{{{4, 2}, {4, 2}}};
  std::list<Candidates::Place> places_;
};

TEST_F(CandidatesTest, OldestOfAFullHostGoesAndTheNewestStays) {
  for (const char* host : {"b", "a", "a", "a"}) Add(host);
  EXPECT_EQ(closed_, (std::vector<int>{0, 1, 0, 0}));
}

TEST_F(CandidatesTest, AtTheTotalTheHostWithTheMostPays) {
  for (const char* host : {"one", "two", "many", "many", "new"}) Add(host);
  EXPECT_EQ(closed_, (std::vector<int>{0, 0, 1, 0, 0}));
}

TEST_F(CandidatesTest, AmongEqualHostsTheOldestGoes) {
  for (const char* host : {"a", "b", "c", "d", "e"}) Add(host);
  EXPECT_EQ(closed_, (std::vector<int>{1, 0, 0, 0, 0}));
}

TEST_F(CandidatesTest, SilentPeersDoNotPushOutOneThatSpeaks) {
  Add("a").Spoke();
  for (int i = 0; i < 100; ++i) Add("a");
  for (int i = 0; i < 100; ++i) Add("host" + std::to_string(i));
  EXPECT_FALSE(Closed(0));
}

TEST_F(CandidatesTest, PeersThatDawdleInTheExchangeKeepNobodyOut) {
  for (const char* host : {"a", "a", "b", "b"}) Add(host).Spoke();
  Candidates::Place& honest = Add("honest");
  for (int i = 0; i < 3; ++i) Add("silent" + std::to_string(i));
  EXPECT_FALSE(Closed(4));
  honest.Spoke();
  EXPECT_FALSE(Closed(4));
  EXPECT_TRUE(Closed(0)) << "the oldest in the exchange makes room";
}

TEST_F(CandidatesTest, ThoseWhoLeftCountNoMore) {
  Add("a");
  Add("a");
  places_.pop_front();
  Add("a");
  EXPECT_EQ(closed_, (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(candidates_.size(), 2u);
}

TEST_F(CandidatesTest, ThoseWhoWereClosedCountNoMoreThoughTheyStay) {
  Candidates::Place& first = Add("a");
  Add("a");
  first.Close();
  EXPECT_FALSE(first.open());
  first.Spoke();
  Add("a");
  EXPECT_EQ(closed_, (std::vector<int>{1, 0, 0}));
  candidates_.CloseAll();
  EXPECT_EQ(closed_, (std::vector<int>{1, 1, 1})) << "each once";
}

TEST_F(CandidatesTest, AHostThatLeftAndCameBackIsCountedAnew) {
  for (int i = 0; i < 3; ++i) {
    Add("a").Spoke();
    Add("a");
    places_.clear();
    EXPECT_EQ(candidates_.size(), 0u);
  }
  Add("a");
  Add("a");
  EXPECT_EQ(closed_, std::vector<int>(8, 0));
}

}  // namespace
}  // namespace longwire
