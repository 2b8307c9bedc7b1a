// A client of the KD service on a link whose target hangs on a simulated IEEE 1394 bus.
#include "server/link/firewire_port.h"

#include <gmock/gmock.h>

#include "tests/contract/server_kd/service_bench.h"
#include "tests/contract/server_link/simulated_bus.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

class FirewirePortTest : public testing::Test {
 protected:
  FirewirePortTest() { machine_->target.Map(kCode, 0x4000); }

  Result<std::unique_ptr<LinkPort>> MakePort(const FirewireLink& link) {
    return MakeFirewirePort(context_.get_executor(), link,
                            std::make_unique<SimulatedBus>(context_.get_executor(), nodes_));
  }
  KdServiceOptions Options() {
    KdServiceOptions options;
    options.make_back_end = [this](Executor, const KernelLink& link) -> Result<LinkBackEnd> {
      auto port = MakePort(std::get<FirewireLink>(link));
      if (!port) return port.error();
      return MakeKdBackEnd(std::move(*port), link);
    };
    return options;
  }

  asio::io_context context_{1};
  std::shared_ptr<FirewireMachine> machine_ = std::make_shared<FirewireMachine>(9);
  std::shared_ptr<NodeTable> nodes_ = std::make_shared<NodeTable>();
};

TEST_F(FirewirePortTest, ReadsMemoryOfATargetThroughBusResets) {
  // This machine's own node and a camera have no business here, another target is on another channel.
  nodes_->by_name["fw0"] = nullptr;
  nodes_->by_name["fw1"] = std::make_shared<FirewireMachine>(9);
  nodes_->by_name["fw1"]->rom.resize(6);
  nodes_->by_name["fw2"] = std::make_shared<FirewireMachine>(8);
  nodes_->by_name["fw3"] = machine_;
  KdService service(context_.get_executor(), Options());
  RunTest(context_, [&]() -> asio::awaitable<void> {
    Client client(context_, service);
    co_await client.GreetFully("ada");
    const rpc::OpenLink open{"1394:channel=9", true, false};
    const rpc::Answer opened = co_await client.Ask(open);
    CO_ASSERT_TRUE(std::holds_alternative<rpc::LinkOpened>(opened));
    CO_ASSERT_TRUE(co_await client.Await<rpc::StopEvent>());
    for (int i = 0; i < 3; ++i) {
      machine_->ResetBus();
      std::vector<std::byte> bulk;
      const rpc::Answer read = co_await client.Ask(ReadOf(kCode, 0x2000, true), &bulk);
      EXPECT_EQ(ErrorOf(read), nullptr);
      EXPECT_EQ(bulk, machine_->target.Peek(kCode, 0x2000));
    }
    EXPECT_TRUE(nodes_->by_name["fw1"]->log.empty());
    EXPECT_THAT(nodes_->by_name["fw2"]->log, testing::Each("block"));
    EXPECT_FALSE(machine_->target.running);
    const rpc::Answer closed = co_await client.Ask(rpc::CloseLink{true});
    EXPECT_EQ(ErrorOf(closed), nullptr);
    EXPECT_TRUE(machine_->target.running);
  });
}

TEST_F(FirewirePortTest, CancelledSearchSaysWhatWasFound) {
  nodes_->by_name["fw1"] = machine_;
  nodes_->by_name["fw2"] = std::make_shared<FirewireMachine>(3);
  kd::Store(std::span(nodes_->by_name["fw2"]->block), 4, std::uint16_t{2});
  auto port = MakePort(FirewireLink{3, ""});
  ASSERT_TRUE(port);
  RunTest(context_, [&]() -> asio::awaitable<void> {
    std::optional<Error> found;
    asio::co_spawn(
        context_,
        [&]() -> Awaitable<void> {
          auto opened = co_await (*port)->Open();
          if (!opened) found = opened.error();
        },
        asio::detached);
    while (nodes_->opened["fw1"] < 2) co_await Pause(std::chrono::milliseconds(5));
    (*port)->Cancel();
    while (!found) co_await Pause(std::chrono::milliseconds(5));
    EXPECT_EQ(found->code, Errc::kCancelled);
    EXPECT_THAT(found->message, HasSubstr("fw1: it waits on channel 9"));
    EXPECT_THAT(found->message, HasSubstr("fw2: it speaks version 2"));
  });
}

TEST_F(FirewirePortTest, TargetThatIsGoneEndsTheStream) {
  nodes_->by_name["fw1"] = machine_;
  auto port = MakePort(FirewireLink{9, ""});
  ASSERT_TRUE(port);
  RunTest(context_, [&]() -> asio::awaitable<void> {
    auto opened = co_await (*port)->Open();
    CO_ASSERT_OK(opened);
    machine_->rom.resize(6);
    machine_->ResetBus();
    std::vector<std::byte> buffer(100);
    CO_EXPECT_ERROR(co_await (*opened)->ReadSome(buffer), Errc::kNotFound);
  });
}

TEST_F(FirewirePortTest, RefusesWhatItCannotServe) {
  EXPECT_THAT(MakePort(FirewireLink{9, ""}).error().message, HasSubstr("no controller"));
  EXPECT_EQ(MakePort(FirewireLink{9, "channel"}).error().code, Errc::kUnsupported);
}

}  // namespace
}  // namespace longwire::test
