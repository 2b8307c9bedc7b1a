// What the target printed, for those who were not there or do not keep up.
#include "tests/contract/server_kd/survival_bench.h"

namespace longwire::test {
namespace {

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

}  // namespace
}  // namespace longwire::test
