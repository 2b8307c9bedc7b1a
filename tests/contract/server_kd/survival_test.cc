// A client whose connection is lost.
#include "tests/contract/server_kd/survival_bench.h"

namespace longwire::test {
namespace {

TEST(Survival, ALostDriverFindsStateBreakpointsAndMissedEvents) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), again(bench.context, *bench.service);
    const std::uint64_t id = co_await DriveAndLose(bench, alice);
    EXPECT_EQ(bench.machine->target.breakpoints.size(), 1u);
    EXPECT_FALSE(bench.machine->target.running);
    co_await Say(*bench.machine, "while you were away\n");
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    EXPECT_TRUE(again.welcome.resumed);
    EXPECT_FALSE(again.welcome.restarted);
    EXPECT_EQ(again.welcome.resume_token, alice.welcome.resume_token);
    EXPECT_EQ(again.welcome.next_event, alice.last_event + 1);
    const auto missed = co_await again.Await<rpc::Output>();
    CO_ASSERT_TRUE(missed.has_value());
    EXPECT_EQ(missed->text, "while you were away\n");
    const auto opened = co_await again.Ask(Open());
    const auto* state = std::get_if<rpc::LinkOpened>(&opened);
    CO_ASSERT_TRUE(state != nullptr);
    EXPECT_EQ(state->driver_epoch, 1u);
    EXPECT_EQ(state->role, rpc::Role::kDriver);
    EXPECT_TRUE(state->stop.has_value());
    const auto cleared = co_await again.Ask(rpc::ClearBreakpoint{id});
    EXPECT_NE(std::get_if<rpc::Done>(&cleared), nullptr);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
  });
}

TEST(Survival, WhoComesBackIsLetInThoughTheServerIsFull) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await DriveAndLose(bench, alice);
    std::vector<std::unique_ptr<Client>> others;
    for (std::size_t i = 0; i < KdService::kMaxSessions; ++i) {
      others.push_back(std::make_unique<Client>(bench.context, *bench.service));
      co_await others.back()->Greet("other", rpc::Role::kObserver);
    }
    Client late(bench.context, *bench.service);
    rpc::Hello hello;
    CO_EXPECT_ERROR(co_await GreetServer(*late.channel, hello), Errc::kBusy);
    Client again(bench.context, *bench.service);
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    EXPECT_TRUE(again.welcome.resumed);
  });
}

TEST(Survival, ARequestUnderWayAnswersOnTheNewConnectionAndNoneRunsTwice) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), again(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    const auto first = co_await alice.AskAs(500, kWish);
    ScriptedTarget& target = bench.machine->target;
    const std::size_t before = target.Count(kd::Api::kReadVirtual);
    target.held.insert(kd::Api::kReadVirtual);
    EXPECT_TRUE(alice.channel->Enqueue(rpc::Envelope{501, ReadOf(kCode, 8, true), {}}));
    co_await Until([&] { return target.Count(kd::Api::kReadVirtual) > before; });
    alice.channel->Close();
    co_await Until([&] { return Lost(bench); });
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    const auto repeated = co_await again.AskAgain(500, kWish);
    CO_ASSERT_TRUE(std::get_if<rpc::Value>(&repeated) != nullptr);
    EXPECT_EQ(std::get_if<rpc::Value>(&repeated)->value, std::get_if<rpc::Value>(&first)->value);
    EXPECT_EQ(target.Count(kd::Api::kWriteBreakpoint), 1u);
    EXPECT_TRUE(again.channel->Enqueue(rpc::Envelope{501, ReadOf(kCode, 8, true), {}, true}));
    target.CarryOutHeld();
    co_await Deliver(*bench.machine);
    const auto late = co_await again.AnswerTo(501);
    EXPECT_NE(std::get_if<rpc::MemoryRead>(&late), nullptr) << "not the answer of the first request";
    EXPECT_EQ(target.Count(kd::Api::kReadVirtual), before + 1);
    const auto never_sent =
        co_await again.AskAgain(502, rpc::Request(rpc::SetBreakpoint{kWish.kind, kPoint + 16, 1}));
    EXPECT_NE(std::get_if<rpc::Value>(&never_sent), nullptr);
  });
}

TEST(Survival, AnOpenLinkSentAgainTellsTheStateOfNow) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service),
        again(bench.context, *bench.service);
    co_await bob.GreetFully("bob");
    co_await OpenHalted(bob);
    co_await alice.GreetFully("alice", rpc::Role::kObserver);
    const auto first = co_await alice.AskAs(600, Open());
    CO_ASSERT_TRUE(std::get_if<rpc::LinkOpened>(&first) != nullptr);
    EXPECT_TRUE(std::get_if<rpc::LinkOpened>(&first)->stop.has_value());
    alice.channel->Close();
    co_await Until([&] { return bench.service->Status()[0].clients[1].lost; });
    const auto& stop = *std::get_if<rpc::LinkOpened>(&first)->stop;
    const auto resumed = co_await bob.Ask(rpc::Resume{stop.stop_counter, stop.driver_epoch});
    EXPECT_NE(std::get_if<rpc::Done>(&resumed), nullptr);
    co_await again.GreetFully("alice", rpc::Role::kObserver, &alice);
    EXPECT_TRUE(again.welcome.resumed);
    const auto second = co_await again.AskAgain(600, Open());
    const auto* opened = std::get_if<rpc::LinkOpened>(&second);
    CO_ASSERT_TRUE(opened != nullptr);
    // The events of the meantime are told already; they must not be undone.
    EXPECT_EQ(opened->state, rpc::TargetState::kRunning);
    EXPECT_FALSE(opened->stop.has_value());
    EXPECT_EQ(opened->role, rpc::Role::kObserver);
  });
}

TEST(Survival, TheClientMayComeBackBeforeTheServerNoticedTheLoss) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), again(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    EXPECT_TRUE(again.welcome.resumed);
    const auto gone = co_await alice.channel->Receive();
    EXPECT_FALSE(gone);
    const auto set = co_await again.Ask(kWish);
    EXPECT_NE(std::get_if<rpc::Value>(&set), nullptr);
    EXPECT_FALSE(Lost(bench));
  });
}

TEST(Survival, WhenTheTimeHasPassedThePolicyAppliesAndTheTokenIsVoid) {
  Bench bench(Keeping(20ms));
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), again(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    EXPECT_EQ(alice.welcome.keep_ms, 20u);
    co_await OpenHalted(alice);
    co_await alice.Ask(kWish);
    alice.channel->Close();
    co_await Until([&] { return bench.service->Status().empty(); });
    EXPECT_TRUE(bench.machine->target.running);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    EXPECT_FALSE(again.welcome.resumed);
    EXPECT_NE(again.welcome.notice.find("did not come back in time"), std::string::npos);
    EXPECT_NE(again.welcome.resume_token, alice.welcome.resume_token);
  });
}

TEST(Survival, ThePolicyMayLeaveTheTargetHaltedOrStopIt) {
  for (const Parting policy : {Parting::kStay, Parting::kBreak}) {
    KdServiceOptions options = Keeping(20ms);
    options.on_lost = policy;
    Bench bench(std::move(options));
    RunTest(bench.context, [&]() -> asio::awaitable<void> {
      Client alice(bench.context, *bench.service);
      co_await alice.GreetFully("alice");
      const rpc::StopEvent stop = co_await OpenHalted(alice);
      co_await alice.Ask(kWish);
      if (policy == Parting::kBreak) {
        co_await alice.Ask(rpc::Resume{stop.stop_counter, stop.driver_epoch});
        EXPECT_TRUE(bench.machine->target.running);
      }
      alice.channel->Close();
      co_await Until([&] { return bench.service->Status().empty(); });
      EXPECT_FALSE(bench.machine->target.running);
      EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    });
  }
}

TEST(Survival, WhoeverAsksForTheLinkOfALostDriverGetsIt) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service),
        again(bench.context, *bench.service);
    co_await DriveAndLose(bench, alice);
    co_await bob.Greet("bob");  // an older client
    const auto opened = co_await bob.Ask(Open());
    CO_ASSERT_TRUE(std::get_if<rpc::LinkOpened>(&opened) != nullptr);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    EXPECT_FALSE(again.welcome.resumed);
    EXPECT_NE(again.welcome.notice.find("bob@lab asked for the link"), std::string::npos);
  });
}

TEST(Survival, ALostDriverWhoIsBackInTimeKeepsTheLink) {
  KdServiceOptions options = Keeping();
  options.kept_at_least = 1h;
  Bench bench(std::move(options));
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service),
        again(bench.context, *bench.service);
    co_await DriveAndLose(bench, alice);
    co_await bob.GreetFully("bob");
    EXPECT_TRUE(bob.channel->Enqueue(rpc::Envelope{1, rpc::Request(Open()), {}}));
    co_await Until([&] { return bench.service->Status()[0].status.waiting == 1; });
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    EXPECT_TRUE(again.welcome.resumed);
    const auto refused = co_await bob.AnswerTo(1);
    CO_ASSERT_TRUE(ErrorOf(refused) != nullptr);
    EXPECT_EQ(ErrorOf(refused)->code, Errc::kLinkInUse);
    EXPECT_EQ(bench.machine->target.breakpoints.size(), 1u);
  });
}

TEST(Survival, AClientThatDoesNotWantToBeKeptIsNot) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    rpc::Hello hello;
    hello.user = "alice";
    hello.capabilities = {rpc::kResumeCapability};
    hello.keep_ms = 0;
    co_await alice.GreetWith(std::move(hello));
    EXPECT_TRUE(alice.welcome.resume_token.empty());
    co_await OpenHalted(alice);
    alice.channel->Close();
    co_await Until([&] { return bench.service->Status().empty(); });
    EXPECT_TRUE(bench.machine->target.running);
  });
}

}  // namespace
}  // namespace longwire::test
