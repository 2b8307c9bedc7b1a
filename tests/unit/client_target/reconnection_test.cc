#include "client/target/reconnection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longwire {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr Reconnection::Time kLost{1000s};
const Error kRefused{Errc::kUnreachable, "connection refused"};
const Error kSilent{Errc::kTimedOut, "nothing was heard."};

TEST(Reconnection, PausesDoubleUpToTheLongest) {
  Reconnection attempts({100ms, 300ms, 60s}, kLost);
  std::vector<std::chrono::milliseconds> pauses;
  for (int i = 0; i < 5; ++i) pauses.push_back(*attempts.NextPause(kLost));
  EXPECT_THAT(pauses, testing::ElementsAre(100ms, 200ms, 300ms, 300ms, 300ms));
}

TEST(Reconnection, TheLastAttemptIsAtTheEndOfTheTime) {
  Reconnection attempts({100ms, 1s, 10s}, kLost);
  EXPECT_EQ(attempts.NextPause(kLost + 9950ms), 50ms);
  attempts.Failed(kRefused);
  EXPECT_EQ(attempts.NextPause(kLost + 10s), std::nullopt);
  EXPECT_THAT(attempts.Reason(kSilent).message, AllOf(HasSubstr("within 10 s"), HasSubstr("refused")));
}

TEST(Reconnection, AttemptsThatOutlastTheTimeEndIt) {
  Reconnection attempts({100ms, 1s, 10s}, kLost);
  EXPECT_EQ(attempts.NextPause(kLost), 100ms);
  attempts.Failed(kSilent);
  EXPECT_EQ(attempts.NextPause(kLost + 15s), 0ms);
  attempts.Failed(kSilent);
  EXPECT_EQ(attempts.NextPause(kLost + 30s), std::nullopt);
}

TEST(Reconnection, WhatCannotGetBetterEndsItAtOnce) {
  for (const Errc code : {Errc::kAuthentication, Errc::kVersionMismatch, Errc::kUsage, Errc::kMalformed}) {
    Reconnection attempts({100ms, 1s, 10s}, kLost);
    attempts.Failed({code, "no"});
    EXPECT_EQ(attempts.NextPause(kLost), std::nullopt) << static_cast<int>(code);
    EXPECT_EQ(attempts.Reason(kSilent).message, "no");
  }
  for (const Errc code : {Errc::kUnreachable, Errc::kTimedOut, Errc::kClosed, Errc::kIo, Errc::kBusy})
    EXPECT_FALSE(EndsForGood({code, ""})) << static_cast<int>(code);
}

TEST(Reconnection, NoTimeIsNoAttempt) {
  Reconnection attempts({100ms, 1s, 0ms}, kLost);
  EXPECT_EQ(attempts.NextPause(kLost), std::nullopt);
  EXPECT_EQ(attempts.Reason(kSilent).message, kSilent.message);
}

TEST(Reconnection, NewsSayWhatIsGoneAndForHowLong) {
  EXPECT_EQ(NewsOfLoss("h:1", kSilent, {}).text,
            "connection to h:1 lost (nothing was heard.); trying again for 120 s, Ctrl-C ends the wait");
  rpc::Welcome welcome;
  EXPECT_THAT(NewsOfReturn("h:1", welcome, false, 2s).text, HasSubstr("the server does not know it"));
  welcome.notice = "it was over after 60 s";
  EXPECT_THAT(NewsOfReturn("h:1", welcome, false, 2s).text, HasSubstr("over after 60 s"));
  welcome.resumed = true;
  EXPECT_EQ(NewsOfReturn("h:1", welcome, false, 1500ms).text, "connection to h:1 restored after 2 s");
  EXPECT_THAT(NewsOfReturn("h:1", welcome, true, 2s).text, HasSubstr("lost"));
  welcome.restarted = true;
  EXPECT_THAT(NewsOfReturn("h:1", welcome, true, 2s).text, HasSubstr("the server was restarted"));
}

}  // namespace
}  // namespace longwire
