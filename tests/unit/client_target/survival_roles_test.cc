// Who drives after a connection was lost, with the scripted peers of survival_test.cc.
#include "tests/unit/client_target/survival_bench.h"

namespace longwire {
namespace {

using testing::HasSubstr;

rpc::DriverChanged Taken(bool self, std::uint64_t epoch) {
  rpc::DriverChanged taken{self ? "me@here" : "eve@far", epoch, rpc::DriverChanged::Why::kTaken};
  taken.self = self;
  taken.client = self ? 1 : 2;
  return taken;
}

class SurvivalOfRoles : public Survival {
 protected:
  /// Everything the client hears until a stop is told, or an event of this kind.
  template <class Kind>
  std::optional<Kind> Await() {
    while (true) {
      const auto event = NextEvent();
      if (!event || !*event) {
        ADD_FAILURE() << (event ? "no such event came in time" : event.error().message);
        return std::nullopt;
      }
      if (const auto* found = std::get_if<Kind>(&**event)) return *found;
    }
  }
  /// The loss of the connection to a server that forgets the session.
  void LoseSession() {
    server_->knows_token = false;
    EXPECT_FALSE(Read(kHangUp));
  }
};

// ---- the role of the next session

TEST_F(SurvivalOfRoles, WhoWatchesByNowComesBackAsAnObserver) {
  Connect();
  EXPECT_EQ(server_->said_role, rpc::Role::kDriver);
  server_->news = {Taken(false, 5)};
  ASSERT_TRUE(Read(kTellNews));
  server_->drives = false;
  LoseSession();
  ASSERT_TRUE(Await<rpc::StopEvent>());
  EXPECT_EQ(server_->said_role, rpc::Role::kObserver) << "it would drive a link that is free";
  EXPECT_FALSE(target_->driving());
}

TEST_F(SurvivalOfRoles, WhoDrivesByNowComesBackAsTheDriver) {
  server_->drives = false;
  Connect(120s, rpc::Role::kObserver);
  EXPECT_FALSE(target_->driving());
  server_->news = {Taken(true, 5)};
  ASSERT_TRUE(Read(kTellNews));
  server_->drives = true;
  LoseSession();
  ASSERT_TRUE(Await<rpc::StopEvent>());
  EXPECT_EQ(server_->said_role, rpc::Role::kDriver);
  EXPECT_TRUE(target_->driving());
}

TEST_F(SurvivalOfRoles, WhoAskedToDriveAndWasLetWatchComesBackAsAnObserver) {
  server_->drives = false;
  Connect();
  LoseSession();
  ASSERT_TRUE(Await<rpc::StopEvent>());
  EXPECT_EQ(server_->said_role, rpc::Role::kObserver);
}

TEST_F(SurvivalOfRoles, AnAnswerOlderThanTheNewsDoesNotMakeADriver) {
  server_->missed = {Taken(false, 5)};  // told at the beginning, ahead of the answer with epoch 3
  Connect();
  LoseSession();
  ASSERT_TRUE(Await<rpc::StopEvent>());
  EXPECT_EQ(server_->said_role, rpc::Role::kObserver);
}

// ---- an observer ahead of its driver

TEST_F(SurvivalOfRoles, AnObserverWaitsUntilTheDriverHasOpenedTheLink) {
  server_->drives = false;
  Connect(120s, rpc::Role::kObserver);
  server_->not_open = 5;
  LoseSession();
  const auto told = Await<rpc::LinkChanged>();
  ASSERT_TRUE(told);
  EXPECT_THAT(told->text, testing::AllOf(HasSubstr("nobody has the link open"), HasSubstr("120 s")));
  EXPECT_EQ(target_->state(), rpc::TargetState::kOffline);
  EXPECT_FALSE(target_->stop());
  ASSERT_TRUE(Await<rpc::StopEvent>());
  EXPECT_EQ(server_->openings, 1 + 5 + 1);
  EXPECT_FALSE(target_->driving());
  EXPECT_TRUE(Read(0x5000));
}

TEST_F(SurvivalOfRoles, AWaitMayEndBeforeTheDriverIsBack) {
  server_->drives = false;
  Connect(120s, rpc::Role::kObserver);
  server_->not_open = 1'000'000;
  LoseSession();
  ASSERT_TRUE(Await<rpc::LinkChanged>());
  const auto nothing = target_->WaitEvent(std::chrono::steady_clock::now() + 5ms);
  ASSERT_TRUE(nothing) << nothing.error().message;
  EXPECT_FALSE(*nothing);
  server_->not_open = 0;
  EXPECT_TRUE(Await<rpc::StopEvent>());
}

TEST_F(SurvivalOfRoles, AnObserverDoesNotWaitForEver) {
  server_->drives = false;
  Connect(30ms, rpc::Role::kObserver);
  server_->not_open = 1'000'000;
  LoseSession();
  ASSERT_TRUE(Await<rpc::LinkChanged>());
  const auto event = NextEvent();
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, testing::AllOf(HasSubstr("session is over"), HasSubstr("nobody has")));
  EXPECT_EQ(target_->state(), rpc::TargetState::kOffline);
}

TEST_F(SurvivalOfRoles, AnInterruptEndsTheWaitForTheDriver) {
  server_->drives = false;
  Connect(120s, rpc::Role::kObserver);
  server_->not_open = 1'000'000;
  LoseSession();
  ASSERT_TRUE(Await<rpc::LinkChanged>());
  interrupt_.Raise();
  const auto event = NextEvent();
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, HasSubstr("ended by Ctrl-C"));
}

TEST_F(SurvivalOfRoles, ADriverDoesNotWaitForALinkItWouldOpenItself) {
  Connect();
  server_->not_open = 1'000'000;
  LoseSession();
  const auto event = NextEvent();
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, HasSubstr("could not be opened again"));
  EXPECT_EQ(server_->openings, 2);
}

TEST_F(SurvivalOfRoles, ALinkThatIsGoneAfterAGapIsNotWaitedFor) {
  server_->drives = false;
  Connect(120s, rpc::Role::kObserver);
  server_->missing_events = 2;
  server_->not_open = 1'000'000;
  ASSERT_TRUE(Read(kHangUp));
  EXPECT_FALSE(NextEvent());
  EXPECT_EQ(server_->openings, 2);
  EXPECT_TRUE(server_->only_watches);
}

TEST_F(SurvivalOfRoles, WhoBeganAsTheDriverAndWatchesByNowOpensNoLinkAfterAGap) {
  Connect();
  EXPECT_FALSE(server_->only_watches);
  server_->news = {Taken(false, 5)};
  ASSERT_TRUE(Read(kTellNews));
  server_->missing_events = 2;
  server_->not_open = 1'000'000;
  ASSERT_TRUE(Read(kHangUp));
  while (NextEvent()) {
  }
  EXPECT_EQ(server_->openings, 2);
  EXPECT_TRUE(server_->only_watches);
}

// ---- gaps

TEST_F(SurvivalOfRoles, AGapThatSwallowsTheRoleGivenIsMadeUpForWithOneRequest) {
  server_->drives = false;
  Connect(120s, rpc::Role::kObserver);
  server_->missing_events = 2;
  server_->drives = true;
  server_->driver_epoch = 5;
  ASSERT_TRUE(Read(kHangUp));
  const TargetCounters before = target_->counters();
  const auto told = Await<rpc::DriverChanged>();
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->self);
  EXPECT_EQ(told->driver, "me@here");
  EXPECT_TRUE(target_->driving());
  EXPECT_EQ(target_->renewals(), 1u) << "nobody sets its breakpoints";
  EXPECT_EQ(target_->counters().requests, before.requests + 1);
  EXPECT_LE(target_->counters().round_trips, before.round_trips + 1);
  EXPECT_TRUE(target_->Resume({}));
}

TEST_F(SurvivalOfRoles, AGapThatSwallowsTheLossOfTheRole) {
  Connect();
  server_->missing_events = 2;
  server_->drives = false;
  server_->driver_epoch = 5;
  ASSERT_TRUE(Read(kHangUp));
  const auto told = Await<rpc::DriverChanged>();
  ASSERT_TRUE(told);
  EXPECT_FALSE(told->self);
  EXPECT_EQ(told->driver, "eve@far");
  EXPECT_FALSE(target_->driving());
  EXPECT_FALSE(target_->Resume({}));
  EXPECT_EQ(server_->resumes, 0);
}

TEST_F(SurvivalOfRoles, ADriverWhoLostTheRoleAndGotItBackInAGapSetsItsBreakpointsAgain) {
  Connect();
  server_->missing_events = 4;
  server_->driver_epoch = 7;
  server_->stop_counter = 2;
  rpc::StopEvent later;
  later.stop_counter = 2;
  later.driver_epoch = 7;
  server_->missed = {later};  // this much of it arrives
  ASSERT_TRUE(Read(kHangUp));
  const auto told = Await<rpc::DriverChanged>();
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->self);
  EXPECT_EQ(target_->renewals(), 1u) << "the server took them out";
}

TEST_F(SurvivalOfRoles, AGapWithoutANewDriverRenewsNothing) {
  Connect();
  server_->missing_events = 4;
  server_->stop_counter = 2;
  ASSERT_TRUE(Read(kHangUp));
  ASSERT_TRUE(Await<rpc::StopEvent>());
  const auto more = target_->WaitEvent(std::chrono::steady_clock::now());
  ASSERT_TRUE(more);
  EXPECT_FALSE(*more) << "nothing changed that is worth telling";
  EXPECT_EQ(target_->renewals(), 0u);
}

TEST_F(SurvivalOfRoles, NewsOfTheSameDriverRenewsNothingEither) {
  Connect();
  server_->news = {Taken(true, 3)};
  ASSERT_TRUE(Read(kTellNews));
  ASSERT_TRUE(Await<rpc::DriverChanged>());
  EXPECT_EQ(target_->renewals(), 0u);
}

}  // namespace
}  // namespace longwire
