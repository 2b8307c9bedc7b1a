// Several clients at one link, and who of them drives it.
#include "tests/contract/server_kd/survival_bench.h"

namespace longwire::test {
namespace {

using Why = rpc::DriverChanged::Why;

TEST(Roles, TakingOverFencesTheFormerDriverAndLeavesTheTargetAsItIs) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    const rpc::StopEvent stop = co_await OpenHalted(alice);
    co_await alice.Ask(kWish);
    co_await bob.GreetFully("bob", rpc::Role::kObserver);
    co_await bob.Ask(Open());
    const auto refused = co_await bob.Ask(rpc::TakeDriver{false});
    CO_ASSERT_TRUE(ErrorOf(refused) != nullptr);
    EXPECT_EQ(ErrorOf(refused)->code, Errc::kLinkInUse);
    const auto taken = co_await bob.Ask(rpc::TakeDriver{true});
    const auto* opened = std::get_if<rpc::LinkOpened>(&taken);
    CO_ASSERT_TRUE(opened != nullptr);
    EXPECT_EQ(opened->role, rpc::Role::kDriver);
    EXPECT_GT(opened->driver_epoch, stop.driver_epoch);
    EXPECT_EQ(opened->state, rpc::TargetState::kHalted);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    const auto late = co_await alice.Ask(rpc::Resume{stop.stop_counter, stop.driver_epoch});
    CO_ASSERT_TRUE(ErrorOf(late) != nullptr);
    EXPECT_EQ(ErrorOf(late)->code, Errc::kFenced);
    std::optional<rpc::DriverChanged> told;
    do {
      told = co_await alice.Await<rpc::DriverChanged>();
      CO_ASSERT_TRUE(told.has_value());
    } while (told->why != Why::kTaken);
    EXPECT_EQ(told->driver, "bob@lab");
    EXPECT_FALSE(told->self);
    const auto resumed = co_await bob.Ask(rpc::Resume{opened->stop->stop_counter, opened->driver_epoch});
    EXPECT_NE(std::get_if<rpc::Done>(&resumed), nullptr);
  });
}

TEST(Roles, HandingOverAndBack) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await bob.GreetFully("bob");
    rpc::OpenLink look = Open();
    look.when_busy = rpc::WhenBusy::kObserve;
    const auto joined = co_await bob.Ask(look);
    CO_ASSERT_TRUE(std::get_if<rpc::LinkOpened>(&joined) != nullptr);
    EXPECT_EQ(std::get_if<rpc::LinkOpened>(&joined)->role, rpc::Role::kObserver);
    EXPECT_EQ(std::get_if<rpc::LinkOpened>(&joined)->driver, "alice@lab");
    const auto listed = co_await alice.Ask(rpc::ListClients{});
    const auto* list = std::get_if<rpc::ClientList>(&listed);
    CO_ASSERT_TRUE(list != nullptr);
    CO_ASSERT_EQ(list->clients.size(), 2u);
    EXPECT_TRUE(list->clients[0].self);
    EXPECT_EQ(list->clients[0].role, rpc::Role::kDriver);
    EXPECT_EQ(list->clients[1].name, "bob@lab");
    const auto nobody = co_await alice.Ask(rpc::HandOver{999});
    CO_ASSERT_TRUE(ErrorOf(nobody) != nullptr);
    EXPECT_EQ(ErrorOf(nobody)->code, Errc::kNotFound);
    const auto given = co_await alice.Ask(rpc::HandOver{list->clients[1].id});
    EXPECT_NE(std::get_if<rpc::Done>(&given), nullptr);
    const auto fenced = co_await alice.Ask(kWish);
    CO_ASSERT_TRUE(ErrorOf(fenced) != nullptr);
    EXPECT_EQ(ErrorOf(fenced)->code, Errc::kFenced);
    const auto back = co_await bob.Ask(rpc::HandOver{list->clients[0].id});
    EXPECT_NE(std::get_if<rpc::Done>(&back), nullptr);
    const auto set = co_await alice.Ask(kWish);
    EXPECT_NE(std::get_if<rpc::Value>(&set), nullptr);
  });
}

TEST(Roles, ObserversStayWhenTheDriverLeavesAndMayTakeOver) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), eve(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await eve.GreetFully("eve", rpc::Role::kObserver);
    co_await eve.Ask(Open());
    co_await alice.Ask(rpc::CloseLink{false});
    const auto read = co_await eve.Ask(ReadOf(kCode, 8, false));
    EXPECT_NE(std::get_if<rpc::MemoryRead>(&read), nullptr);
    const auto taken = co_await eve.Ask(rpc::TakeDriver{false});
    EXPECT_NE(std::get_if<rpc::LinkOpened>(&taken), nullptr);
    const auto closed = co_await eve.Ask(rpc::CloseLink{true});
    EXPECT_NE(std::get_if<rpc::Done>(&closed), nullptr);
    EXPECT_TRUE(bench.service->Status().empty());
    EXPECT_TRUE(bench.machine->target.running);
  });
}

TEST(Roles, ClientsWaitInLineAndMayLeaveIt) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service),
        carol(bench.context, *bench.service), dave(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    rpc::OpenLink wait = Open();
    wait.when_busy = rpc::WhenBusy::kQueue;
    for (Client* client : {&bob, &carol}) {
      co_await client->GreetFully(client == &bob ? "bob" : "carol");
      EXPECT_TRUE(client->channel->Enqueue(rpc::Envelope{7, rpc::Request(wait), {}}));
      const auto place = co_await client->Await<rpc::LinkQueued>();
      CO_ASSERT_TRUE(place.has_value());
      EXPECT_EQ(place->position, client == &bob ? 1u : 2u);
      EXPECT_EQ(place->holder, "alice@lab");
    }
    EXPECT_TRUE(bob.channel->Enqueue(rpc::Envelope{0, rpc::Cancel{7}, {}}));
    const auto left = co_await bob.AnswerTo(7);
    CO_ASSERT_TRUE(ErrorOf(left) != nullptr);
    EXPECT_EQ(ErrorOf(left)->code, Errc::kCancelled);
    const auto moved = co_await carol.Await<rpc::LinkQueued>();
    CO_ASSERT_TRUE(moved.has_value());
    EXPECT_EQ(moved->position, 1u);
    EXPECT_TRUE(alice.channel->Enqueue(rpc::Envelope{9000, rpc::Request(rpc::CloseLink{true}), {}}));
    const auto opened = co_await carol.AnswerTo(7);
    CO_ASSERT_TRUE(std::get_if<rpc::LinkOpened>(&opened) != nullptr);
    EXPECT_EQ(std::get_if<rpc::LinkOpened>(&opened)->role, rpc::Role::kDriver);
    EXPECT_EQ(bench.service->Status()[0].holder, "carol@lab");
    EXPECT_EQ(bench.service->Status()[0].status.waiting, 0u);
  });
}

TEST(Roles, WhoOnlyWatchesOpensNothing) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await bob.GreetFully("bob");
    rpc::OpenLink look = Open();
    look.watch = true;
    const auto early = co_await bob.Ask(look);
    CO_ASSERT_TRUE(ErrorOf(early) != nullptr);
    EXPECT_EQ(ErrorOf(early)->code, Errc::kNotFound);
    co_await OpenHalted(alice);
    const auto joined = co_await bob.Ask(look);
    CO_ASSERT_TRUE(std::get_if<rpc::LinkOpened>(&joined) != nullptr);
    EXPECT_EQ(std::get_if<rpc::LinkOpened>(&joined)->role, rpc::Role::kObserver);
  });
}

TEST(Roles, OnlyTheOwnerEvicts) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), mallory(bench.context, *bench.service, true);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await mallory.GreetFully("mallory", rpc::Role::kAdmin);
    const auto listed = co_await mallory.Ask(rpc::ListClients{});
    const auto* list = std::get_if<rpc::ClientList>(&listed);
    CO_ASSERT_TRUE(list != nullptr);
    CO_ASSERT_EQ(list->clients.size(), 2u);
    const auto refused = co_await mallory.Ask(rpc::EvictClient{list->clients[0].id});
    CO_ASSERT_TRUE(ErrorOf(refused) != nullptr);
    EXPECT_EQ(ErrorOf(refused)->code, Errc::kAuthentication);
    const auto evicted = co_await alice.Ask(rpc::EvictClient{list->clients[1].id});
    EXPECT_NE(std::get_if<rpc::Done>(&evicted), nullptr);
    auto last = co_await mallory.channel->Receive();
    while (last && !std::holds_alternative<rpc::Goodbye>(last->message))
      last = co_await mallory.channel->Receive();
    EXPECT_TRUE(last);
  });
}

}  // namespace
}  // namespace longwire::test
