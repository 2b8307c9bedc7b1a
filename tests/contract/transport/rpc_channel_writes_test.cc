// How many writes of the stream the messages of a channel cost, and when they happen.
#include "proto/rpc/frame.h"
#include "tests/support/coro_test.h"
#include "transport/memory_stream.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

/// Another stream, with its writes counted.
class CountedStream final : public Stream {
 public:
  CountedStream(std::unique_ptr<Stream> below, int& writes) : below_(std::move(below)), writes_(writes) {}

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override { return below_->ReadSome(out); }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    ++writes_;
    return below_->WriteAll(head, body);
  }
  std::size_t TryWrite(std::span<const std::byte> data) noexcept override {
    const std::size_t written = below_->TryWrite(data);
    if (written > 0) ++writes_;
    return written;
  }
  Awaitable<Result<void>> ShutdownWrite() override { return below_->ShutdownWrite(); }
  void Close() noexcept override { below_->Close(); }
  const PeerInfo& peer() const noexcept override { return below_->peer(); }

 private:
  std::unique_ptr<Stream> below_;
  int& writes_;
};

rpc::Envelope Text(std::string text) { return {0, rpc::Event(rpc::Output{std::move(text)}), {}}; }

class RpcChannelWrites : public testing::Test {
 protected:
  template <class Body>
  void Run(Body body) {
    test::RunTest(context_, [this, body]() -> Awaitable<void> {
      auto [near, far] = MakeMemoryStreams(context_.get_executor());
      near_ = RpcChannel::Make(context_.get_executor(),
                               std::make_unique<CountedStream>(std::move(near), writes_));
      far_ = RpcChannel::Make(context_.get_executor(), std::move(far));
      co_await body();
      near_.reset();
      far_.reset();
    });
  }

  /// The far side's message has been received by the near side.
  Awaitable<void> BeAsked() {
    CO_ASSERT_OK(far_->Enqueue(Text("a question")));
    CO_ASSERT_OK(co_await near_->Receive());
  }

  boost::asio::io_context context_{1};
  std::unique_ptr<RpcChannel> near_, far_;
  int writes_ = 0;
};

TEST_F(RpcChannelWrites, WhatIsQueuedInOneTurnLeavesInOneWrite) {
  Run([this]() -> Awaitable<void> {
    for (int i = 0; i < 10; ++i) CO_ASSERT_OK(near_->Enqueue(Text("one of ten")));
    EXPECT_EQ(writes_, 0);
    CO_ASSERT_OK(co_await near_->Drain(std::chrono::seconds(10)));
    EXPECT_EQ(writes_, 1);
  });
}

TEST_F(RpcChannelWrites, AnAnswerLeavesBeforeTheTurnEnds) {
  Run([this]() -> Awaitable<void> {
    co_await BeAsked();
    CO_ASSERT_OK(near_->Enqueue(Text("the answer")));
    EXPECT_EQ(writes_, 1);
    EXPECT_EQ(near_->queued_bytes(), 0u);
  });
}

TEST_F(RpcChannelWrites, WhatFollowsAnAnswerLeavesTogether) {
  Run([this]() -> Awaitable<void> {
    co_await BeAsked();
    for (int i = 0; i < 10; ++i) CO_ASSERT_OK(near_->Enqueue(Text("one of ten")));
    EXPECT_EQ(writes_, 1);
    CO_ASSERT_OK(co_await near_->Drain(std::chrono::seconds(10)));
    EXPECT_EQ(writes_, 2);
  });
}

}  // namespace
}  // namespace longwire
