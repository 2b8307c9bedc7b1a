#include "client/target/remote_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <map>
#include <mutex>

#include "proto/plan/plan_builder.h"
#include "transport/memory_stream.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMapped = 0x10000;  ///< 16 pages from here are readable
constexpr std::uint64_t kMappedEnd = kMapped + 16 * 4096;

/// A KD service that knows one halted target; lives on the client's RPC thread.
class ScriptedService : public std::enable_shared_from_this<ScriptedService> {
 public:
  Awaitable<void> Serve(Executor executor, std::unique_ptr<Stream> stream) {
    auto self = shared_from_this();
    channel_ = RpcChannel::Make(executor, std::move(stream));
    rpc::Welcome welcome;
    welcome.capabilities = capabilities;
    if (!co_await GreetClient(*channel_, welcome)) co_return;
    while (true) {
      Result<rpc::Envelope> envelope = co_await channel_->Receive();
      if (!envelope || std::holds_alternative<rpc::Goodbye>(envelope->message)) break;
      if (std::holds_alternative<rpc::Cancel>(envelope->message)) {
        ++cancels;
        continue;
      }
      if (auto* request = std::get_if<rpc::Request>(&envelope->message)) Answer(*envelope, *request);
    }
    channel_->Close();
  }

  std::vector<std::string> capabilities;  ///< set before it serves
  std::atomic<int> reads{0}, cancels{0}, resumes{0}, settings{0};
  std::atomic<std::uint8_t> fill{1};  ///< what every readable byte holds
  std::atomic<bool> mute_reads{false};
  std::atomic<bool> stop_after_resume{true};
  std::atomic<std::uint64_t> hang_up_at{~std::uint64_t{0}};  ///< a read of this address ends the connection

 private:
  void Reply(std::uint64_t id, rpc::Answer answer, std::vector<std::byte> bulk = {}) {
    rpc::Envelope envelope;
    envelope.id = id;
    envelope.message = rpc::Response{std::move(answer)};
    envelope.bulk = std::move(bulk);
    (void)channel_->Enqueue(std::move(envelope));
  }

  rpc::StopEvent Stop() const {
    rpc::StopEvent stop;
    stop.stop_counter = stop_counter_;
    stop.driver_epoch = 3;
    stop.program_counter = kMapped;
    stop.context.assign(16, std::byte{9});
    stop.memory.push_back({kMapped + 0x3000, std::vector<std::byte>(64, std::byte{0x55})});
    return stop;
  }

  void Answer(const rpc::Envelope& envelope, const rpc::Request& request) {
    if (std::holds_alternative<rpc::OpenLink>(request)) {
      Reply(envelope.id,
            rpc::LinkOpened{"COM:Port=test", 3, rpc::TargetState::kHalted, rpc::TargetDescription{}, Stop()});
    } else if (auto* read = std::get_if<rpc::ReadMemory>(&request)) {
      ++reads;
      if (read->ranges[0].address == hang_up_at) return channel_->Close();
      if (mute_reads) return;
      std::vector<std::byte> bulk;
      rpc::MemoryRead answer;
      for (const rpc::ReadRange& range : read->ranges) {
        std::uint64_t size = 0;
        if (range.address >= kMapped && range.address < kMappedEnd)
          size = std::min(range.size, kMappedEnd - range.address);
        answer.sizes.push_back(size);
        bulk.insert(bulk.end(), size, static_cast<std::byte>(fill.load()));
      }
      Reply(envelope.id, std::move(answer), std::move(bulk));
    } else if (std::holds_alternative<rpc::WriteMemory>(request)) {
      fill = std::to_integer<std::uint8_t>(envelope.bulk[0]);
      Reply(envelope.id, rpc::MemoryWritten{envelope.bulk.size()});
    } else if (std::holds_alternative<rpc::RunPlan>(request)) {
      rpc::PlanResult result;
      result.records.push_back({1, AddressSpace::Virtual(), kMapped + 0x5000, 32, 16});
      Reply(envelope.id, std::move(result), std::vector<std::byte>(16, std::byte{0x77}));
    } else if (std::holds_alternative<rpc::Resume>(request)) {
      ++resumes;
      Reply(envelope.id, rpc::Done{});
      rpc::Envelope event;
      event.message = rpc::Event(rpc::Resumed{stop_counter_});
      (void)channel_->Enqueue(event);
      ++stop_counter_;
      event.message = rpc::Event(Stop());
      if (stop_after_resume) (void)channel_->Enqueue(event);
    } else {
      settings += std::holds_alternative<rpc::Configure>(request) ? 1 : 0;
      Reply(envelope.id, rpc::Done{});
    }
  }

  std::unique_ptr<RpcChannel> channel_;
  std::uint64_t stop_counter_ = 1;
};

class RemoteTargetTest : public testing::Test {
 protected:
  void SetUp() override { Connect(); }
  void Connect() {
    auto opener = [service = service_](Executor executor) -> Awaitable<Result<RpcClient::Opened>> {
      auto [near, far] = MakeMemoryStreams(executor);
      boost::asio::co_spawn(executor, service->Serve(executor, std::move(far)), boost::asio::detached);
      co_return RpcClient::Opened{std::move(near), nullptr};
    };
    rpc::Hello hello;
    hello.capabilities = {rpc::kStepProcessorCapability, rpc::kPacketTraceCapability,
                          rpc::kLineSpeedCapability};
    Result<std::unique_ptr<RpcClient>> client = RpcClient::Open(opener, hello, interrupt_);
    ASSERT_TRUE(client) << client.error().message;
    target_ = std::make_unique<RemoteTarget>(std::move(*client), "test");
    ASSERT_TRUE(target_->Open({}));
    before_ = target_->counters().round_trips;
  }

  std::uint64_t RoundTrips() const { return target_->counters().round_trips - before_; }
  Result<std::size_t> Read(std::uint64_t address, std::size_t size) {
    bytes_.assign(size, std::byte{0});
    return target_->Read(AddressSpace::Virtual(), address, bytes_);
  }
  template <class Kind>
  void WaitFor() {
    auto deadline = std::chrono::steady_clock::now() + 5s;
    while (true) {
      auto event = target_->WaitEvent(deadline);
      ASSERT_TRUE(event) << event.error().message;
      ASSERT_TRUE(event->has_value());
      if (std::holds_alternative<Kind>(**event)) return;
    }
  }

  Interrupt interrupt_;
  std::shared_ptr<ScriptedService> service_ = std::make_shared<ScriptedService>();
  std::unique_ptr<RemoteTarget> target_;
  std::vector<std::byte> bytes_;
  std::uint64_t before_ = 0;
};

TEST_F(RemoteTargetTest, ReadsNearbyMemoryInOneRoundTrip) {
  ASSERT_EQ(*Read(kMapped + 0x10, 8), 8u);
  ASSERT_EQ(*Read(kMapped + 0x100, 8), 8u);
  ASSERT_EQ(*Read(kMapped + 0x1F0, 16), 16u);
  EXPECT_EQ(RoundTrips(), 1u);
}

TEST_F(RemoteTargetTest, UsesWhatTheStopCarried) {
  ASSERT_EQ(*Read(kMapped + 0x3000, 64), 64u);
  EXPECT_EQ(bytes_[0], std::byte{0x55});
  ASSERT_TRUE(target_->ReadContext(0));
  EXPECT_EQ(RoundTrips(), 0u);
}

TEST_F(RemoteTargetTest, RemembersWhatAPlanEmittedAndWhereItEnded) {
  plan::PlanBuilder builder;
  builder.End();
  ASSERT_TRUE(target_->Run(builder.Build()));
  ASSERT_EQ(*Read(kMapped + 0x5000, 32), 16u);
  EXPECT_EQ(bytes_[15], std::byte{0x77});
  EXPECT_EQ(RoundTrips(), 1u);
}

TEST_F(RemoteTargetTest, RemembersUnreadableMemoryForTheStop) {
  EXPECT_EQ(Read(0x5000, 8).error().code, Errc::kUnreadable);
  EXPECT_EQ(Read(0x5800, 8).error().address, 0x5800u);
  EXPECT_EQ(RoundTrips(), 1u);
  EXPECT_EQ(*Read(kMappedEnd - 8, 64), 8u);
}

TEST_F(RemoteTargetTest, AWriteIsSeenByTheNextRead) {
  ASSERT_EQ(*Read(kMapped, 8), 8u);
  std::byte value{0x42};
  ASSERT_TRUE(target_->Write(AddressSpace::Virtual(), kMapped, std::span(&value, 1)));
  ASSERT_EQ(*Read(kMapped, 8), 8u);
  EXPECT_EQ(bytes_[0], std::byte{0x42});
}

TEST_F(RemoteTargetTest, NothingSurvivesAResume) {
  ASSERT_EQ(*Read(kMapped, 8), 8u);
  service_->fill = 2;
  ASSERT_TRUE(target_->Resume({}));
  EXPECT_EQ(target_->state(), rpc::TargetState::kRunning);
  WaitFor<rpc::StopEvent>();
  EXPECT_EQ(target_->stop()->stop_counter, 2u);
  ASSERT_EQ(*Read(kMapped, 8), 8u);
  EXPECT_EQ(bytes_[0], std::byte{2});
}

TEST_F(RemoteTargetTest, TheNewsOfAResumeDoesNotUndoALaterStop) {
  ASSERT_TRUE(target_->Resume({}));
  WaitFor<rpc::Resumed>();
  WaitFor<rpc::StopEvent>();
  EXPECT_EQ(target_->state(), rpc::TargetState::kHalted);
}

TEST_F(RemoteTargetTest, PrefetchedRangesShareOneRoundTrip) {
  rpc::ReadRange ranges[] = {{kMapped, 8}, {kMapped + 0x2000, 8}, {kMapped + 0x7000, 8}};
  target_->Prefetch(AddressSpace::Virtual(), ranges);
  for (const rpc::ReadRange& range : ranges) ASSERT_EQ(*Read(range.address, 8), 8u);
  EXPECT_EQ(RoundTrips(), 1u);
  EXPECT_EQ(service_->reads, 1);
}

TEST_F(RemoteTargetTest, PhysicalMemoryIsReadEveryTime) {
  std::byte out[8];
  ASSERT_TRUE(target_->Read(AddressSpace::Physical(), kMapped, out));
  ASSERT_TRUE(target_->Read(AddressSpace::Physical(), kMapped, out));
  EXPECT_EQ(service_->reads, 2);
}

TEST_F(RemoteTargetTest, AnInterruptEndsACallAndTellsTheServer) {
  service_->mute_reads = true;
  interrupt_.Raise();
  EXPECT_EQ(Read(kMapped, 8).error().code, Errc::kCancelled);
  interrupt_.Clear();
  service_->mute_reads = false;
  ASSERT_EQ(*Read(kMapped, 8), 8u);
  EXPECT_EQ(service_->cancels, 1);
}

TEST_F(RemoteTargetTest, ALostServerFailsEveryCallAndLeavesNoStop) {
  service_->hang_up_at = kMapped;
  Result<std::size_t> read = Read(kMapped, 8);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, testing::HasSubstr("connection"));
  EXPECT_FALSE(target_->WaitEvent(std::chrono::steady_clock::now() + 5s));
  EXPECT_EQ(target_->state(), rpc::TargetState::kOffline);
  EXPECT_FALSE(target_->stop().has_value());
  EXPECT_FALSE(Read(kMapped + 0x1000, 8));
}

TEST_F(RemoteTargetTest, WhatAnOlderServerWouldIgnoreIsNotAskedOfIt) {
  Target::ResumeOptions step;
  step.step = true;
  step.step_processor = 1;
  const Result<void> stepped = target_->Resume(step);
  ASSERT_FALSE(stepped);
  EXPECT_EQ(stepped.error().code, Errc::kUnsupported);
  EXPECT_THAT(stepped.error().message,
              testing::HasSubstr("steps only the processor that stopped, here 0; ~0s"));
  rpc::Configure trace;
  trace.trace_packets = true;
  EXPECT_EQ(target_->Configure(trace).error().code, Errc::kUnsupported);
  rpc::Configure speed;
  speed.baud = 19200;
  EXPECT_EQ(target_->Configure(speed).error().code, Errc::kUnsupported);
  EXPECT_EQ(service_->resumes + service_->settings, 0);
  EXPECT_EQ(target_->state(), rpc::TargetState::kHalted);

  service_ = std::make_shared<ScriptedService>();
  service_->capabilities = {rpc::kStepProcessorCapability, rpc::kPacketTraceCapability,
                            rpc::kLineSpeedCapability};
  Connect();
  EXPECT_TRUE(target_->Configure(trace));
  EXPECT_TRUE(target_->Configure(speed));
  EXPECT_TRUE(target_->Resume(step));
  EXPECT_EQ(service_->resumes + service_->settings, 3);
}

TEST_F(RemoteTargetTest, LargeReadsAreSplitAndPipelined) {
  ASSERT_EQ(*Read(kMapped, 16 * 4096), 16u * 4096);
  EXPECT_EQ(service_->reads, 1);
  ASSERT_TRUE(target_->Close(true));
  EXPECT_EQ(target_->state(), rpc::TargetState::kOffline);
}

}  // namespace
}  // namespace longwire
