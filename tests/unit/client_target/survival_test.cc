// A connection that is lost and comes back, with scripted peers over memory streams: no sockets, and time
// only where a wait must not end too early.
#include <thread>

#include "tests/unit/client_target/survival_bench.h"

namespace longwire {
namespace {

using testing::HasSubstr;

TEST_F(Survival, ARequestThatNeverArrivedIsCarriedOutAfterTheReturn) {
  Connect();
  refusals_ = 5;
  const auto read = Read(kHangUp);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, 8u);
  EXPECT_EQ(server_->reads, 1);
  EXPECT_EQ(server_->resent, 1);
  EXPECT_EQ(dials_, 7);
  ExpectLostAndRestored();
}

TEST_F(Survival, ARequestThatWasCarriedOutIsNotRepeated) {
  Connect();
  ASSERT_TRUE(Read(kHangUpAfterWork));
  EXPECT_EQ(server_->reads, 1);
  EXPECT_EQ(server_->resent, 1);
  ExpectLostAndRestored();
}

TEST_F(Survival, AResumeIsNotRepeated) {
  server_->lose_resume = true;
  Connect();
  ASSERT_TRUE(target_->Resume({}));
  EXPECT_EQ(server_->resumes, 1);
  EXPECT_EQ(target_->state(), rpc::TargetState::kRunning);
  ExpectLostAndRestored();
}

TEST_F(Survival, MissedEventsComeOnceAndInOrder) {
  server_->lose_resume = true;
  server_->missed = {rpc::Resumed{1}, rpc::Output{"one"}, rpc::Output{"two"}};
  Connect();
  server_->missed = {};
  ASSERT_TRUE(target_->Resume({}));
  std::string text;
  while (text.size() < 6) {
    const auto event = NextEvent();
    ASSERT_TRUE(event && *event);
    if (auto* output = std::get_if<rpc::Output>(&**event)) text += output->text;
  }
  EXPECT_EQ(text, "onetwo");
  EXPECT_EQ(server_->last_seen, 3u) << "the client did not say what it had seen";
  const auto more = target_->WaitEvent(std::chrono::steady_clock::now());
  ASSERT_TRUE(more);
  EXPECT_FALSE(*more);
}

TEST_F(Survival, AGapMakesItAskForThePresentState) {
  server_->missing_events = 40;
  Connect();
  server_->stop_counter = 9;
  ASSERT_TRUE(Read(kHangUp));
  const auto event = NextEvent();
  ASSERT_TRUE(event && *event);
  ASSERT_TRUE(std::holds_alternative<rpc::StopEvent>(**event));
  EXPECT_EQ(target_->stop()->stop_counter, 9u);
  EXPECT_EQ(server_->openings, 2);
  EXPECT_EQ(target_->renewals(), 0u) << "the session goes on: its breakpoints are there";
  EXPECT_THAT(news_.back().text, HasSubstr("lost"));
}

TEST_F(Survival, AForgottenSessionBeginsAnew) {
  server_->knows_token = false;
  Connect();
  server_->stop_counter = 1;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read) << "nobody knows whether it was carried out";
  EXPECT_THAT(read.error().message, HasSubstr("does not know this session"));
  EXPECT_EQ(server_->reads, 0);
  const auto event = NextEvent();
  ASSERT_TRUE(event && *event);
  EXPECT_TRUE(std::holds_alternative<rpc::StopEvent>(**event)) << "an equal number is another stop";
  EXPECT_EQ(target_->renewals(), 1u);
  EXPECT_EQ(server_->openings, 2);
  EXPECT_TRUE(Read(0x5000));
  EXPECT_THAT(Kinds(), testing::ElementsAre(ConnectionNews::Kind::kLost, ConnectionNews::Kind::kReopened));
}

TEST_F(Survival, ASecondLossWhileTheLinkIsOpenedAnewIsNoRefusal) {
  server_->knows_token = false;
  server_->lost_opening = 2;
  Connect();
  ASSERT_FALSE(Read(kHangUp));
  bool stopped = false;
  while (!stopped) {
    const auto event = NextEvent();
    ASSERT_TRUE(event) << event.error().message;
    ASSERT_TRUE(*event);
    stopped = std::holds_alternative<rpc::StopEvent>(**event);
  }
  EXPECT_EQ(server_->openings, 3);
  EXPECT_EQ(server_->greetings, 3);
  EXPECT_EQ(target_->renewals(), 1u);
  EXPECT_TRUE(Read(0x5000));
}

TEST_F(Survival, AForgottenSessionWhoseLinkIsTakenEndsWithTheReason) {
  server_->knows_token = false;
  Connect();
  server_->link_in_use = true;
  ASSERT_FALSE(Read(kHangUp));
  const auto event = NextEvent();
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, testing::AllOf(HasSubstr("session is over"), HasSubstr("eve@far")));
  EXPECT_EQ(target_->state(), rpc::TargetState::kOffline);
}

TEST_F(Survival, AnInterruptEndsTheWaitAtOnce) {
  Connect();
  refusals_ = 1'000'000;
  interrupting_dial_ = 10;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("ended by Ctrl-C"));
  interrupt_.Clear();
  const auto event = NextEvent();
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, HasSubstr("ended by Ctrl-C"));
}

TEST_F(Survival, AnInterruptEndsAConnectionThatComesBackJustThen) {
  server_->holds_greeting = true;
  Connect();
  interrupting_dial_ = 2;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("ended by Ctrl-C"));
  server_->holds_greeting = false;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (server_->ends < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(server_->greetings, 2);
  EXPECT_EQ(server_->ends, 2) << "the server believes that its driver is there";
  EXPECT_EQ(server_->reads, 0);
}

TEST_F(Survival, ItIsGivenUpWhenTheTimeIsOver) {
  Connect(30ms);
  refusals_ = 1'000'000;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, testing::AllOf(HasSubstr("is lost"), HasSubstr("connection refused")));
}

TEST_F(Survival, ARefusalForGoodEndsItAtOnce) {
  Connect();
  refusals_ = 1'000'000;
  refusal_ = Errc::kAuthentication;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kAuthentication);
  EXPECT_EQ(dials_, 2);
}

TEST_F(Survival, ADeadlineThatPassesMeanwhileEndsTheWaitAfterTheReturn) {
  server_->hang_up_after_resume = true;
  Connect();
  refusals_ = 50;  // a pause of 1 ms before each
  ASSERT_TRUE(target_->Resume({}));
  const auto deadline = std::chrono::steady_clock::now() + 5ms;
  while (true) {
    const auto event = target_->WaitEvent(deadline);
    ASSERT_TRUE(event) << event.error().message;
    if (!*event && std::chrono::steady_clock::now() >= deadline && !news_.empty()) break;
  }
  ExpectLostAndRestored();
  EXPECT_GE(target_->outage(), 50ms) << "who has deadlines must know";
}

TEST_F(Survival, WhoOnlyWatchesIsRefusedWithoutARoundTrip) {
  Connect();
  const std::uint64_t before = target_->counters().requests;
  rpc::DriverChanged taken;
  taken.driver = "eve@far";
  taken.why = rpc::DriverChanged::Why::kTaken;
  taken.driver_epoch = 4;
  server_->missed = {taken};
  ASSERT_TRUE(Read(kHangUp));  // comes back with the news
  ASSERT_TRUE(NextEvent());
  EXPECT_FALSE(target_->driving());
  const auto resumed = target_->Resume({});
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().code, Errc::kFenced);
  EXPECT_THAT(resumed.error().message, testing::AllOf(HasSubstr("eve@far drives"), HasSubstr(".driver /t")));
  EXPECT_EQ(server_->resumes, 0);
  EXPECT_EQ(target_->counters().requests, before + 1);
  EXPECT_TRUE(Read(0x9000)) << "an observer may read";
}

}  // namespace
}  // namespace longwire
