#include "tests/contract/server_kd/service_bench.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {
namespace {

using namespace std::chrono_literals;
using Why = rpc::DriverChanged::Why;

constexpr std::uint64_t kPoint = kCode + 0x100;
const rpc::SetBreakpoint kWish{rpc::BreakpointKind::kCode, kPoint, 1};

/// Sessions are kept for as long as no test waits, and nobody who asks has to wait.
KdServiceOptions Keeping(std::chrono::milliseconds keep = 1h) {
  KdServiceOptions options;
  options.keep = keep;
  options.kept_at_least = 0ms;
  return options;
}

/// Waits for what the service does by itself; RunTest bounds it.
asio::awaitable<void> Until(std::function<bool()> holds) {
  while (!holds()) co_await Pause(2ms);
}

bool Lost(const Bench& bench) {
  const auto status = bench.service->Status();
  return status.size() == 1 && status[0].status.lost;
}

/// A client that drives a halted target with a breakpoint, and whose connection is then lost.
asio::awaitable<std::uint64_t> DriveAndLose(Bench& bench, Client& client) {
  co_await client.GreetFully("alice");
  co_await OpenHalted(client);
  const auto set = co_await client.Ask(kWish);
  client.channel->Close();
  co_await Until([&] { return Lost(bench); });
  const auto* value = std::get_if<rpc::Value>(&set);
  co_return value != nullptr ? value->value : 0;
}

asio::awaitable<void> Say(Machine& machine, const std::string& text) {
  machine.target.Print(text);
  const auto line = machine.line;
  const kd::Bytes output = machine.target.TakeOutput();
  (void)co_await line->WriteAll(output);
}

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

TEST(Survival, ARequestUnderWayAnswersOnTheNewConnectionAndNoneRunsTwice) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), again(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    const auto first = co_await alice.AskAs(500, kWish);
    bench.machine->target.mute.insert(kd::Api::kReadVirtual);
    EXPECT_TRUE(alice.channel->Enqueue(rpc::Envelope{501, ReadOf(kCode, 8, true), {}}));
    co_await Until([&] { return bench.machine->target.Count(kd::Api::kReadVirtual) > 0; });
    const std::size_t reads = bench.machine->target.Count(kd::Api::kReadVirtual);
    alice.channel->Close();
    co_await Until([&] { return Lost(bench); });
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    const auto repeated = co_await again.AskAgain(500, kWish);
    CO_ASSERT_TRUE(std::get_if<rpc::Value>(&repeated) != nullptr);
    EXPECT_EQ(std::get_if<rpc::Value>(&repeated)->value, std::get_if<rpc::Value>(&first)->value);
    EXPECT_EQ(bench.machine->target.Count(kd::Api::kWriteBreakpoint), 1u);
    EXPECT_TRUE(again.channel->Enqueue(rpc::Envelope{501, ReadOf(kCode, 8, true), {}, true}));
    EXPECT_TRUE(again.channel->Enqueue(rpc::Envelope{0, rpc::Cancel{501}, {}}));
    bench.machine->target.mute.clear();
    const auto late = co_await again.AnswerTo(501);
    EXPECT_NE(std::get_if<rpc::MemoryRead>(&late), nullptr) << "not the answer of the first request";
    EXPECT_GE(bench.machine->target.Count(kd::Api::kReadVirtual), reads);
    const auto never_sent =
        co_await again.AskAgain(502, rpc::Request(rpc::SetBreakpoint{kWish.kind, kPoint + 16, 1}));
    EXPECT_NE(std::get_if<rpc::Value>(&never_sent), nullptr);
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

// ---- roles

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

// ---- output

TEST(Output, LatecomersGetWhatWasPrintedBefore) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), eve(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await Say(*bench.machine, "0123456789");
    const auto live = co_await alice.Await<rpc::Output>();
    CO_ASSERT_TRUE(live.has_value());
    EXPECT_FALSE(live->history);
    co_await eve.GreetFully("eve", rpc::Role::kObserver);
    rpc::OpenLink open = Open();
    open.scroll_back = 4;
    co_await eve.Ask(open);
    const auto past = co_await eve.Await<rpc::Output>();
    CO_ASSERT_TRUE(past.has_value());
    EXPECT_EQ(past->text, "6789");
    EXPECT_EQ(past->skipped, 6u);
    EXPECT_TRUE(past->history);
  });
}

TEST(Output, ASlowObserverGetsAMarkAndNobodyWaitsForIt) {
  Bench bench(Keeping());
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), eve(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await eve.GreetFully("eve", rpc::Role::kObserver);
    co_await eve.Ask(Open());
    const std::string text(1000, 'x');
    std::uint64_t sent = 0, seen = 0;
    // More than the observer's backlog and the stream hold; the driver takes every byte of it.
    while (bench.service->Status()[0].clients[1].skipped_bytes == 0) {
      co_await Say(*bench.machine, text);
      sent += text.size();
      const auto output = co_await alice.Await<rpc::Output>();
      CO_ASSERT_TRUE(output.has_value());
      EXPECT_EQ(output->skipped, 0u);
      seen += output->text.size();
    }
    EXPECT_EQ(seen, sent);
    std::uint64_t told = 0;
    while (told < sent) {
      // The next thing that happens brings the mark, once there is room.
      const auto output = co_await eve.Await<rpc::Output>();
      CO_ASSERT_TRUE(output.has_value());
      told += output->skipped + output->text.size();
      if (told + text.size() >= sent && told < sent) {
        co_await Say(*bench.machine, text);
        sent += text.size();
      }
    }
    EXPECT_EQ(told, sent);
  });
}

// ---- a server that is killed

class Restart : public testing::Test {
 protected:
  KdServiceOptions Options() {
    KdServiceOptions options = Keeping();
    options.state_directory = directory_.path();
    return options;
  }
  /// The service vanishes without a word to anyone, and another takes its place.
  asio::awaitable<void> Kill(Bench& bench, std::optional<KdServiceOptions> next = {}) {
    bench.service.reset();
    co_await Pause(5ms);
    KdServiceOptions options = next.value_or(Options());
    options.log = options.warn = [&bench](const std::string& line) { bench.log.push_back(line); };
    options.make_back_end = [machine = bench.machine](Executor executor,
                                                      const KernelLink& link) -> Result<LinkBackEnd> {
      return MakeKdBackEnd(std::make_unique<MachinePort>(executor, machine), link);
    };
    bench.service = std::make_unique<KdService>(bench.context.get_executor(), std::move(options));
    bench.service->Restore("here");
  }
  TemporaryDirectory directory_;
};

TEST_F(Restart, TheClientResumesWithItsBreakpoints) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    const rpc::StopEvent stop = co_await OpenHalted(alice);
    const auto set = co_await alice.Ask(kWish);
    CO_ASSERT_TRUE(std::get_if<rpc::Value>(&set) != nullptr);
    co_await Kill(bench);
    Client again(bench.context, *bench.service);
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    EXPECT_TRUE(again.welcome.resumed && again.welcome.restarted);
    EXPECT_EQ(again.welcome.next_event, alice.last_event + 1);
    const auto unknown = co_await again.AskAgain(77, kWish);
    CO_ASSERT_TRUE(ErrorOf(unknown) != nullptr);
    EXPECT_EQ(ErrorOf(unknown)->code, Errc::kClosed);
    const auto stopped = co_await again.Await<rpc::StopEvent>();
    CO_ASSERT_TRUE(stopped.has_value());
    EXPECT_EQ(stopped->driver_epoch, stop.driver_epoch);
    EXPECT_GT(stopped->stop_counter, stop.stop_counter);
    const auto resumed = co_await again.Ask(rpc::Resume{stopped->stop_counter, stopped->driver_epoch});
    EXPECT_NE(std::get_if<rpc::Done>(&resumed), nullptr);
    EXPECT_EQ(bench.machine->target.breakpoints.size(), 1u);
    bench.machine->target.Stop(kd::kExceptionBreakpoint, kPoint);
    const auto line = bench.machine->line;
    const kd::Bytes report = bench.machine->target.TakeOutput();
    (void)co_await line->WriteAll(report);
    const auto hit = co_await again.Await<rpc::StopEvent>();
    CO_ASSERT_TRUE(hit.has_value());
    EXPECT_EQ(hit->breakpoints, std::vector<std::uint64_t>{std::get_if<rpc::Value>(&set)->value});
  });
}

TEST_F(Restart, NobodysBreakpointsAreTakenOutAndTheTargetRuns) {
  KdServiceOptions options = Options();
  options.keep = 0ms;
  Bench bench(options);
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    const rpc::StopEvent stop = co_await OpenHalted(alice);
    const kd::Bytes code = bench.machine->target.Peek(kPoint, 1);
    co_await alice.Ask(kWish);
    EXPECT_NE(bench.machine->target.Peek(kPoint, 1), code);
    co_await alice.Ask(rpc::Resume{stop.stop_counter, stop.driver_epoch});
    EXPECT_EQ(bench.machine->target.breakpoints.size(), 1u);
    co_await Kill(bench, options);
    co_await Until([&] { return bench.service->Status().empty(); });
    EXPECT_TRUE(bench.machine->target.running);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    EXPECT_EQ(bench.machine->target.Peek(kPoint, 1), code);
    // Settled, so the next server has nothing to do.
    const std::size_t lines = bench.log.size();
    co_await Kill(bench, options);
    EXPECT_EQ(bench.log.size(), lines);
    EXPECT_TRUE(bench.service->Status().empty());
  });
}

TEST_F(Restart, DataBreakpointsAreTakenOut) {
  KdServiceOptions options = Options();
  options.keep = 0ms;
  Bench bench(options);
  bench.service->Restore("here");
  std::vector<std::uint64_t> dr7s;
  bench.machine->target.on_continue = [&](bool, std::uint64_t dr7) { dr7s.push_back(dr7); };
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    const auto set = co_await alice.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kWrite, kCode + 0x200, 4});
    CO_ASSERT_TRUE(std::get_if<rpc::Value>(&set) != nullptr);
    const auto dr0 = [&] { return kd::Load64(bench.machine->target.specials[0], 0x20); };
    EXPECT_EQ(dr0(), kCode + 0x200);
    co_await Kill(bench, options);
    co_await Until([&] { return bench.service->Status().empty(); });
    EXPECT_EQ(dr0(), 0u);
    CO_ASSERT_TRUE(!dr7s.empty());
    EXPECT_EQ(dr7s.back() & 0xFF, 0u);
  });
}

TEST_F(Restart, AnotherServersLinksAreLeftAlone) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    KdServiceOptions options = Options();
    KdService same(bench.context.get_executor(), options), other(bench.context.get_executor(), options);
    same.Restore("here");    // the journal is locked
    other.Restore("there");  // and not its own
    EXPECT_TRUE(same.Status().empty());
    EXPECT_TRUE(other.Status().empty());
    co_return;
  });
}

TEST_F(Restart, AnOrderlyEndLeavesNoJournal) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await alice.Ask(rpc::CloseLink{true});
    EXPECT_TRUE(LinkJournal::TakeOver(directory_.path(), "here", [](const std::string&) {}).empty());
  });
}

}  // namespace
}  // namespace longwire::test
