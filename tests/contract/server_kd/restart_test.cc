// A server that is killed and started again.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/contract/server_kd/survival_bench.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {
namespace {

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
  /// What a server that was killed now would leave behind.
  JournalEntry Journal() const {
    for (const auto& file : std::filesystem::directory_iterator(directory_.path())) {
      if (file.path().extension() != ".journal") continue;
      std::ifstream in(file.path());
      const std::string text((std::istreambuf_iterator<char>(in)), {});
      auto entry = ParseJournalEntry(text);
      EXPECT_TRUE(entry) << text;
      if (entry) return std::move(*entry);
    }
    return {};
  }
  TemporaryDirectory directory_;
};

TEST_F(Restart, NoClientKnowsMoreThanTheJournal) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    JournalEntry entry;  // at the last write
    Client alice(bench.context, *bench.service, false, [&] { entry = Journal(); });
    co_await alice.GreetFully("alice");
    const rpc::StopEvent stop = co_await OpenHalted(alice);
    EXPECT_EQ(entry.token, alice.welcome.resume_token);
    EXPECT_EQ(entry.driver_epoch, stop.driver_epoch);
    EXPECT_TRUE(entry.target.halted);
    const auto set = co_await alice.Ask(kWish);
    CO_ASSERT_TRUE(std::get_if<rpc::Value>(&set) != nullptr);
    EXPECT_EQ(entry.target.breakpoints.size(), 1u);
    co_await alice.Ask(rpc::ClearBreakpoint{std::get_if<rpc::Value>(&set)->value});
    EXPECT_TRUE(entry.target.breakpoints.empty());
    co_await alice.Ask(rpc::Resume{stop.stop_counter, stop.driver_epoch});
    EXPECT_FALSE(entry.target.halted);
    bench.machine->target.Stop(kd::kExceptionBreakpoint, kPoint);
    co_await Deliver(*bench.machine);
    co_await alice.Await<rpc::StopEvent>();
    EXPECT_TRUE(entry.target.halted);
    EXPECT_EQ(entry.target.stop_counter, stop.stop_counter + 1);
  });
}

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
    co_await Deliver(*bench.machine);
    const auto hit = co_await again.Await<rpc::StopEvent>();
    CO_ASSERT_TRUE(hit.has_value());
    EXPECT_EQ(hit->breakpoints, std::vector<std::uint64_t>{std::get_if<rpc::Value>(&set)->value});
  });
}

TEST_F(Restart, WhatWasAskedForIsNotForgotten) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    JournalEntry entry;  // at the last write
    Client alice(bench.context, *bench.service, false, [&] { entry = Journal(); });
    co_await alice.GreetFully("alice");
    rpc::OpenLink open = Open();
    open.break_on_reboot = true;
    const auto opened = co_await alice.Ask(open);
    CO_ASSERT_TRUE(std::get_if<rpc::LinkOpened>(&opened) != nullptr);
    co_await alice.Await<rpc::StopEvent>();
    rpc::Configure configure;
    configure.stop_on_module = true;
    co_await alice.Ask(configure);
    EXPECT_TRUE(entry.target.stop_on_module);
    EXPECT_TRUE(entry.target.break_on_reboot);
    co_await Kill(bench);
    EXPECT_TRUE(Journal().target.break_on_reboot);
    Client again(bench.context, *bench.service);
    co_await again.GreetFully("alice", rpc::Role::kDriver, &alice);
    const auto stopped = co_await again.Await<rpc::StopEvent>();
    CO_ASSERT_TRUE(stopped.has_value());
    co_await again.Ask(rpc::Resume{stopped->stop_counter, stopped->driver_epoch});
    bench.machine->target.LoadSymbols("\\late.sys", 0xFFFFF80000100000);
    co_await Deliver(*bench.machine);
    const auto module = co_await again.Await<rpc::StopEvent>();
    CO_ASSERT_TRUE(module.has_value());
    EXPECT_EQ(module->reason, rpc::StopEvent::Reason::kModule);
  });
}

TEST_F(Restart, AServerThatIsKilledWhileItAttachesForgetsNothing) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await alice.Ask(kWish);
    const JournalEntry before = Journal();
    EXPECT_TRUE(before.target.halted);
    bench.machine->target.mute = {kd::Api::kGetVersion};
    co_await Kill(bench);
    co_await Pause(50ms);
    const JournalEntry after = Journal();
    EXPECT_TRUE(after.target.halted);
    EXPECT_EQ(after.target.stop_counter, before.target.stop_counter);
    EXPECT_EQ(after.target.last_breakpoint_id, before.target.last_breakpoint_id);
    EXPECT_EQ(after.target.breakpoints.size(), 1u);
    EXPECT_EQ(after.token, before.token);
  });
}

TEST_F(Restart, AGoodbyeIsNotUndoneByAKill) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    co_await OpenHalted(alice);
    co_await alice.Ask(kWish);
    EXPECT_FALSE(Journal().token.empty());
    bench.machine->target.mute = {kd::Api::kRestoreBreakpoint};  // so that it takes its time
    EXPECT_TRUE(alice.channel->Enqueue(rpc::Envelope{0, rpc::Goodbye{}, {}}));
    co_await Until([&] { return bench.Logged("said goodbye") != 0; });
    const JournalEntry entry = Journal();
    EXPECT_EQ(entry.target.breakpoints.size(), 1u) << "which the next server would take out";
    EXPECT_TRUE(entry.token.empty()) << "nobody comes back";
  });
}

TEST_F(Restart, AJournalThatCannotBeWrittenIsTriedAgain) {
  Bench bench(Options());
  bench.service->Restore("here");
  RunTest(bench.context, [&]() -> asio::awaitable<void> {
    Client alice(bench.context, *bench.service);
    co_await alice.GreetFully("alice");
    const rpc::StopEvent stop = co_await OpenHalted(alice);
    const std::string elsewhere = directory_.path() + ".away";
    std::filesystem::rename(directory_.path(), elsewhere);
    co_await alice.Ask(kWish);
    co_await alice.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kCode, kPoint + 0x10, 1});
    EXPECT_EQ(bench.Logged("cannot be written"), 1u) << "said once";
    std::filesystem::rename(elsewhere, directory_.path());
    EXPECT_TRUE(Journal().target.breakpoints.empty());
    co_await alice.Ask(rpc::Resume{stop.stop_counter, stop.driver_epoch});
    EXPECT_EQ(Journal().target.breakpoints.size(), 2u);
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
