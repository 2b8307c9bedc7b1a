#include "client/target/pending_calls.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

Reply Done() { return Reply(rpc::Done{}, {}); }

TEST(PendingCalls, HandsAnAnswerToItsRequestOnly) {
  PendingCalls calls;
  std::uint64_t first = calls.Add(), second = calls.Add();
  EXPECT_TRUE(calls.Complete(second, Reply(rpc::Value{7}, {})));
  EXPECT_FALSE(calls.Take(first).has_value());
  auto answer = calls.Take(second);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<rpc::Value>((*answer)->answer).value, 7u);
  EXPECT_EQ(calls.size(), 1u);
}

TEST(PendingCalls, DropsALateAnswerOfAnAbandonedRequest) {
  PendingCalls calls;
  std::uint64_t id = calls.Add();
  calls.Abandon(id);
  EXPECT_FALSE(calls.Complete(id, Done()));
  EXPECT_EQ(calls.size(), 0u);
}

TEST(PendingCalls, RefusesASecondAnswer) {
  PendingCalls calls;
  std::uint64_t id = calls.Add();
  EXPECT_TRUE(calls.Complete(id, Reply(rpc::Value{1}, {})));
  EXPECT_FALSE(calls.Complete(id, Reply(rpc::Value{2}, {})));
  EXPECT_EQ(std::get<rpc::Value>((*calls.Take(id))->answer).value, 1u);
}

TEST(PendingCalls, FailAllEndsWaitingRequestsAndKeepsAnswers) {
  PendingCalls calls;
  std::uint64_t answered = calls.Add(), waiting = calls.Add();
  calls.Complete(answered, Done());
  calls.FailAll(Error{Errc::kClosed, "gone"});
  EXPECT_TRUE(calls.Take(answered)->has_value());
  EXPECT_EQ(calls.Take(waiting)->error().code, Errc::kClosed);
}

TEST(PendingCalls, CountsRequestsSentTogetherAsOneRoundTrip) {
  PendingCalls calls;
  std::uint64_t first = calls.Add(), second = calls.Add(), third = calls.Add();
  for (std::uint64_t id : {first, second, third}) calls.Complete(id, Done());
  for (std::uint64_t id : {first, second, third}) calls.Take(id);
  EXPECT_EQ(calls.requests(), 3u);
  EXPECT_EQ(calls.round_trips(), 1u);
}

TEST(PendingCalls, CountsRequestsThatWaitedForOneAnother) {
  PendingCalls calls;
  for (int i = 0; i < 3; ++i) {
    std::uint64_t id = calls.Add();
    calls.Complete(id, Done());
    calls.Take(id);
  }
  EXPECT_EQ(calls.round_trips(), 3u);
}

TEST(PendingCalls, AnswerThatNobodyUsedDoesNotLengthenTheChain) {
  PendingCalls calls;
  std::uint64_t prefetch = calls.Add();
  calls.Complete(prefetch, Done());
  std::uint64_t read = calls.Add();
  calls.Complete(read, Done());
  calls.Take(read);
  EXPECT_EQ(calls.round_trips(), 1u);
  calls.Add();
  EXPECT_EQ(calls.round_trips(), 2u);
}

}  // namespace
}  // namespace longwire
