#include "tests/contract/server_kd/service_bench.h"
#include "transport/candidates.h"

namespace longwire::test {
namespace {

TEST(KdService, ReadsThroughTheWholeStack) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client client(bench.context, *bench.service);
    co_await client.Greet("alice");
    const rpc::StopEvent stop = co_await OpenHalted(client);
    EXPECT_EQ(stop.program_counter, kCode);
    EXPECT_EQ(stop.driver_epoch, 1u);
    std::vector<std::byte> bulk;
    const auto read = co_await client.Ask(ReadOf(kCode, 100, false), &bulk);
    EXPECT_EQ(bulk, bench.machine->target.Peek(kCode, 100));
    const auto status = bench.service->Status();
    CO_ASSERT_EQ(status.size(), 1u);
    EXPECT_EQ(status[0].holder, "alice@lab");
    EXPECT_EQ(status[0].status.state, rpc::TargetState::kHalted);
  });
}

TEST(KdService, SecondDriverIsRefusedByNameAndAnObserverIsNot) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), bob(bench.context, *bench.service),
        eve(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    co_await bob.Greet("bob");
    const auto refused = co_await bob.Ask(Open());
    CO_ASSERT_TRUE(ErrorOf(refused) != nullptr);
    EXPECT_EQ(ErrorOf(refused)->code, Errc::kLinkInUse);
    EXPECT_NE(ErrorOf(refused)->message.find("alice@lab"), std::string::npos);
    co_await eve.Greet("eve", rpc::Role::kObserver);
    const auto joined = co_await eve.Ask(Open());
    CO_ASSERT_TRUE(std::get_if<rpc::LinkOpened>(&joined) != nullptr);
    EXPECT_TRUE(std::get_if<rpc::LinkOpened>(&joined)->stop.has_value());
    const auto fenced = co_await eve.Ask(rpc::Resume{});
    CO_ASSERT_TRUE(ErrorOf(fenced) != nullptr);
    EXPECT_EQ(ErrorOf(fenced)->code, Errc::kFenced);
    const auto busy = co_await alice.Ask(rpc::EndServer{false});
    CO_ASSERT_TRUE(ErrorOf(busy) != nullptr);
    EXPECT_EQ(ErrorOf(busy)->code, Errc::kBusy);
    EXPECT_NE(ErrorOf(busy)->message.find("bob@lab"), std::string::npos);
  });
}

TEST(KdService, OnlyTheOwnerEndsAServerThatOthersUse) {
  Bench bench;
  int ended = 0;
  bench.service->OnEndServer([&ended] { ++ended; });
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), mallory(bench.context, *bench.service, true);
    co_await alice.Greet("alice");
    co_await mallory.Greet("mallory", rpc::Role::kAdmin);
    const auto refused = co_await mallory.Ask(rpc::EndServer{true});
    CO_ASSERT_TRUE(ErrorOf(refused) != nullptr);
    EXPECT_EQ(ErrorOf(refused)->code, Errc::kAuthentication);
    EXPECT_NE(ErrorOf(refused)->message.find("alice@lab"), std::string::npos);
    EXPECT_EQ(ended, 0);
    const auto done = co_await alice.Ask(rpc::EndServer{true});
    EXPECT_NE(std::get_if<rpc::Done>(&done), nullptr);
    EXPECT_EQ(ended, 1);
  });
}

TEST(KdService, OneClientCannotCancelTheWorkOfAnother) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service), eve(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    co_await eve.Greet("eve", rpc::Role::kObserver);
    co_await eve.Ask(Open());
    bench.machine->target.mute.insert(kd::Api::kReadVirtual);
    EXPECT_TRUE(alice.channel->Enqueue(rpc::Envelope{7000, ReadOf(kCode, 8, true), {}}));
    EXPECT_TRUE(alice.channel->Enqueue(rpc::Envelope{7001, rpc::Request(rpc::GetContext{1}), {}}));
    co_await Pause(std::chrono::milliseconds(20));
    EXPECT_TRUE(eve.channel->Enqueue(rpc::Envelope{0, rpc::Cancel{7001}, {}}));
    co_await eve.Ask(rpc::GetLinkStatus{});
    EXPECT_TRUE(alice.channel->Enqueue(rpc::Envelope{7002, rpc::Request(rpc::GetLinkStatus{}), {}}));
    std::uint64_t first = 0;
    while (first == 0) {
      auto envelope = co_await alice.channel->Receive();
      CO_ASSERT_OK(envelope);
      if (std::holds_alternative<rpc::Response>(envelope->message)) first = envelope->id;
    }
    EXPECT_EQ(first, 7002u);
  });
}

TEST(KdService, SilentPeersKeepNobodyOut) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    std::vector<std::unique_ptr<Client>> silent;
    for (std::size_t i = 0; i < CandidateLimits{}.silent.per_host + 10; ++i) {
      silent.push_back(std::make_unique<Client>(bench.context, *bench.service));
    }
    const auto dropped = co_await silent.front()->channel->Receive();
    EXPECT_FALSE(dropped);
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    EXPECT_GE(bench.Logged("it said nothing, and newer ones came"), 1u) << "not by its own deadline";
  });
}

TEST(KdService, MoreClientsThanItServesAreToldToComeLater) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < KdService::kMaxSessions; ++i) {
      clients.push_back(std::make_unique<Client>(bench.context, *bench.service));
      co_await clients.back()->Greet("client " + std::to_string(i), rpc::Role::kObserver);
    }
    Client late(bench.context, *bench.service);
    rpc::Hello hello;
    hello.user = "late";
    CO_EXPECT_ERROR(co_await GreetServer(*late.channel, hello), Errc::kBusy);
    clients.pop_back();
    Client next(bench.context, *bench.service);
    co_await next.Greet("next");
    co_await OpenHalted(next);
  });
}

TEST(KdService, NamesArePrintable) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("al\x1b[2Jice\n");
    co_await OpenHalted(alice);
    const auto status = bench.service->Status();
    CO_ASSERT_EQ(status.size(), 1u);
    EXPECT_EQ(status[0].holder, "al?[2Jice?@lab");
  });
}

TEST(KdService, AClientThatIgnoresItsGoodbyeIsClosed) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    EXPECT_TRUE(bench.service->ReleaseLink("com:pipe,port=/run/vm.sock"));
    for (;;) {
      auto envelope = co_await alice.channel->Receive();
      if (envelope) continue;
      EXPECT_EQ(envelope.error().code, Errc::kClosed);
      break;
    }
  });
}

TEST(KdService, LostClientLeavesTheTargetRunningWithoutBreakpointsAndTheLinkFree) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    {
      Client alice(bench.context, *bench.service);
      co_await alice.Greet("alice");
      co_await OpenHalted(alice);
      const auto set = co_await alice.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kCode, kCode + 0x100, 1});
      EXPECT_NE(std::get_if<rpc::Value>(&set), nullptr);
      EXPECT_EQ(bench.machine->target.breakpoints.size(), 1u);
      alice.channel->Close();
    }
    for (int i = 0; i < 100 && !bench.service->Status().empty(); ++i)
      co_await Pause(std::chrono::milliseconds(10));
    EXPECT_TRUE(bench.service->Status().empty());
    EXPECT_TRUE(bench.machine->target.running);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    Client bob(bench.context, *bench.service);
    co_await bob.Greet("bob");
    const auto opened = co_await bob.Ask(Open());
    EXPECT_NE(std::get_if<rpc::LinkOpened>(&opened), nullptr);
  });
}

TEST(KdService, QuitLeavesItHaltedForTheNextClient) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    co_await alice.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kCode, kCode + 0x100, 1});
    const auto closed = co_await alice.Ask(rpc::CloseLink{false});
    EXPECT_NE(std::get_if<rpc::Done>(&closed), nullptr);
    EXPECT_FALSE(bench.machine->target.running);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    EXPECT_TRUE(bench.service->Status().empty());
    Client bob(bench.context, *bench.service);
    co_await bob.Greet("bob");
    const rpc::StopEvent stop = co_await OpenHalted(bob);  // after the RESET of the attach
    EXPECT_EQ(stop.program_counter, kCode);
  });
}

TEST(KdService, DetachResumes) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    const auto closed = co_await alice.Ask(rpc::CloseLink{true});
    EXPECT_NE(std::get_if<rpc::Done>(&closed), nullptr);
    EXPECT_TRUE(bench.machine->target.running);
  });
}

TEST(KdService, AResentRequestIsAnsweredFromTheRecord) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    const rpc::SetBreakpoint wish{rpc::BreakpointKind::kCode, kCode + 0x100, 1};
    const auto first = co_await alice.AskAs(5000, wish);
    const auto second = co_await alice.AskAs(5000, wish);
    CO_ASSERT_TRUE(std::get_if<rpc::Value>(&first) != nullptr && std::get_if<rpc::Value>(&second) != nullptr);
    EXPECT_EQ(std::get_if<rpc::Value>(&first)->value, std::get_if<rpc::Value>(&second)->value);
    EXPECT_EQ(bench.machine->target.Count(kd::Api::kWriteBreakpoint), 1u);
  });
}

TEST(KdService, PipelinedRequestsBeyondTheLimitAreRefusedNotLost) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    constexpr int kRequests = 1300;
    for (int i = 0; i < kRequests; ++i) {
      EXPECT_TRUE(alice.channel->Enqueue(
          rpc::Envelope{static_cast<std::uint64_t>(10'000 + i), ReadOf(kCode, 8, true), {}}));
    }
    int answered = 0, refused = 0;
    while (answered < kRequests) {
      auto envelope = co_await alice.channel->Receive();
      CO_ASSERT_OK(envelope);
      const auto* response = std::get_if<rpc::Response>(&envelope->message);
      if (response == nullptr) continue;
      ++answered;
      if (const Error* error = ErrorOf(response->answer)) {
        EXPECT_EQ(error->code, Errc::kLimitExceeded);
        ++refused;
      }
    }
    EXPECT_LT(refused, kRequests - 1000);
  });
}

TEST(KdService, VanishedLineIsReported) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    bench.machine->line->Close();
    for (;;) {
      const auto changed = co_await alice.Await<rpc::LinkChanged>();
      CO_ASSERT_TRUE(changed.has_value());
      if (changed->failed) break;
    }
    const auto read = co_await alice.Ask(rpc::GetContext{0});
    CO_ASSERT_TRUE(ErrorOf(read) != nullptr);
    EXPECT_EQ(ErrorOf(read)->code, Errc::kTargetOffline);
    const auto closed = co_await alice.Ask(rpc::CloseLink{true});
    EXPECT_NE(std::get_if<rpc::Done>(&closed), nullptr);
  });
}

TEST(KdService, AbsentDeviceAndForbiddenLinkAreErrorsOfTheOpen) {
  KdServiceOptions options;
  options.allows = [](const KernelLink& link) { return std::get<ComLink>(link).path != "/run/other.sock"; };
  Bench bench(std::move(options));
  bench.machine->absent = true;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    const auto absent = co_await alice.Ask(Open());
    CO_ASSERT_TRUE(ErrorOf(absent) != nullptr);
    EXPECT_EQ(ErrorOf(absent)->code, Errc::kLinkFailed);
    rpc::OpenLink other = Open();
    other.link = "com:pipe,port=/run/other.sock";
    const auto forbidden = co_await alice.Ask(other);
    CO_ASSERT_TRUE(ErrorOf(forbidden) != nullptr);
    EXPECT_NE(ErrorOf(forbidden)->message.find("--links"), std::string::npos);
  });
}

TEST(KdService, ShutdownLeavesTheTargetRunningWithoutBreakpoints) {
  Bench bench;
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.Greet("alice");
    co_await OpenHalted(alice);
    co_await alice.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kCode, kCode + 0x100, 1});
    co_await bench.service->Shutdown(std::chrono::milliseconds(3000));
    EXPECT_TRUE(bench.machine->target.running);
    EXPECT_TRUE(bench.machine->target.breakpoints.empty());
    for (;;) {
      auto envelope = co_await alice.channel->Receive();
      CO_ASSERT_OK(envelope);
      if (std::holds_alternative<rpc::Goodbye>(envelope->message)) break;
    }
  });
}

}  // namespace
}  // namespace longwire::test
