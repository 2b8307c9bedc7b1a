#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include "tests/contract/transport/stream_pairs.h"
#include "tests/support/coro_test.h"

namespace longwire {
namespace {

using test::StreamPair;
using namespace boost::asio::experimental::awaitable_operators;

std::vector<std::byte> Pattern(std::size_t size, unsigned seed = 1) {
  std::vector<std::byte> bytes(size);
  std::uint32_t state = seed;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

/// Reads until `size` bytes came or the stream ended.
Awaitable<std::vector<std::byte>> ReadUpTo(Stream& stream, std::size_t size,
                                           std::size_t at_once = 64u << 10) {
  std::vector<std::byte> bytes(size);
  std::size_t have = 0;
  while (have < size) {
    const auto room = std::span(bytes).subspan(have, std::min(at_once, size - have));
    const auto count = co_await stream.ReadSome(room);
    if (!count || *count == 0) break;
    have += *count;
  }
  bytes.resize(have);
  co_return bytes;
}

Awaitable<Result<void>> WriteSingly(Stream& stream, std::span<const std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto written = co_await stream.WriteAll(bytes.subspan(i, 1));
    if (!written) co_return written.error();
  }
  co_return Result<void>();
}

class StreamContract : public testing::TestWithParam<test::StreamKind> {
 protected:
  /// Runs `body(near, far)`, a coroutine, on a fresh pair.
  template <class Body>
  void Run(Body body) {
    test::RunTest(context_, [this, &body]() -> Awaitable<void> {
      auto pair = co_await GetParam().connect(context_.get_executor());
      CO_ASSERT_OK(pair);
      co_await body(*pair->first, *pair->second);
    });
  }

  boost::asio::io_context context_{1};
};

TEST_P(StreamContract, EchoesBothWays) {
  Run([](Stream& near, Stream& far) -> Awaitable<void> {
    const auto question = Pattern(1000, 1), answer = Pattern(3000, 2);
    CO_ASSERT_OK(co_await near.WriteAll(question));
    CO_ASSERT_TRUE(co_await ReadUpTo(far, question.size()) == question);
    CO_ASSERT_OK(co_await far.WriteAll(std::span(answer).first(10), std::span(answer).subspan(10)));
    CO_ASSERT_TRUE(co_await ReadUpTo(near, answer.size()) == answer);
  });
}

TEST_P(StreamContract, CarriesMuchBothWaysAtOnce) {
  const std::size_t size = GetParam().name.find("Serial") != std::string::npos ? 300'000 : 8'000'000;
  Run([size](Stream& near, Stream& far) -> Awaitable<void> {
    const auto there = Pattern(size, 3), back = Pattern(size, 4);
    const auto [sent, returned, at_far, at_near] =
        co_await (near.WriteAll(there) && far.WriteAll(back) && ReadUpTo(far, size) && ReadUpTo(near, size));
    CO_ASSERT_OK(sent);
    CO_ASSERT_OK(returned);
    CO_ASSERT_TRUE(at_far == there);
    CO_ASSERT_TRUE(at_near == back);
  });
}

TEST_P(StreamContract, WhatTryWriteLeavesWriteAllDelivers) {
  const std::size_t piece = GetParam().name == "Serial" ? 3'000 : 50'000;
  constexpr std::size_t kPieces = 100;
  Run([piece](Stream& near, Stream& far) -> Awaitable<void> {
    const auto all = Pattern(piece * kPieces, 5);
    const auto send = [&]() -> Awaitable<Result<void>> {
      for (std::size_t i = 0; i < kPieces; ++i) {
        const auto part = std::span(all).subspan(i * piece, piece);
        const std::size_t taken = near.TryWrite(part);
        if (taken == part.size()) continue;
        const auto done = co_await near.WriteAll(part.subspan(taken), {});
        if (!done) co_return done.error();
      }
      co_return Result<void>();
    };
    const auto [sent, received] = co_await (send() && ReadUpTo(far, all.size()));
    CO_ASSERT_OK(sent);
    CO_ASSERT_TRUE(received == all);
  });
}

TEST_P(StreamContract, HalfCloseEndsOneDirectionOnly) {
  if (!GetParam().half_closes) GTEST_SKIP() << "this kind of stream cannot half-close";
  Run([size = GetParam().buffers - 1000](Stream& near, Stream& far) -> Awaitable<void> {
    const auto bytes = Pattern(size);
    CO_ASSERT_OK(co_await near.WriteAll(bytes));
    CO_ASSERT_OK(co_await near.ShutdownWrite());
    CO_ASSERT_TRUE(co_await ReadUpTo(far, bytes.size() + 1) == bytes);
    std::array<std::byte, 1> one{};
    const auto end = co_await far.ReadSome(one);
    CO_ASSERT_OK(end);
    CO_ASSERT_EQ(*end, 0u);
    CO_ASSERT_OK(co_await far.WriteAll(bytes));
    CO_ASSERT_TRUE(co_await ReadUpTo(near, bytes.size()) == bytes);
  });
}

TEST_P(StreamContract, CloseDeliversWhatWasWritten) {
  if (!GetParam().delivers_on_close) GTEST_SKIP() << "a serial line drops what its driver holds";
  Run([size = GetParam().buffers](Stream& near, Stream& far) -> Awaitable<void> {
    const auto bytes = Pattern(size);
    CO_ASSERT_OK(co_await near.WriteAll(bytes));
    near.Close();
    CO_ASSERT_TRUE(co_await ReadUpTo(far, bytes.size() + 1) == bytes);
  });
}

TEST_P(StreamContract, OwnCloseEndsPendingReadWithCancelled) {
  Run([](Stream& near, Stream&) -> Awaitable<void> {
    boost::asio::post(co_await boost::asio::this_coro::executor, [&near] { near.Close(); });
    std::array<std::byte, 16> bytes{};
    CO_EXPECT_ERROR(co_await near.ReadSome(bytes), Errc::kCancelled);
    near.Close();
    CO_EXPECT_ERROR(co_await near.ReadSome(bytes), Errc::kCancelled);
    EXPECT_FALSE(co_await near.WriteAll(bytes));
  });
}

TEST_P(StreamContract, OwnCloseEndsPendingWriteWithCancelled) {
  Run([](Stream& near, Stream&) -> Awaitable<void> {
    boost::asio::steady_timer soon(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(20));
    soon.async_wait([&near](boost::system::error_code) { near.Close(); });
    CO_EXPECT_ERROR(co_await near.WriteAll(Pattern(64u << 20)), Errc::kCancelled);
  });
}

TEST_P(StreamContract, PeerThatVanishesEndsTheRead) {
  Run([](Stream& near, Stream& far) -> Awaitable<void> {
    boost::asio::post(co_await boost::asio::this_coro::executor, [&far] { far.Close(); });
    std::array<std::byte, 16> bytes{};
    const auto count = co_await near.ReadSome(bytes);
    if (count) {
      EXPECT_EQ(*count, 0u);
    } else {
      EXPECT_NE(count.error().code, Errc::kCancelled) << "only an own Close() cancels";
    }
  });
}

TEST_P(StreamContract, DeliversOneByteAtATime) {
  Run([](Stream& near, Stream& far) -> Awaitable<void> {
    const auto bytes = Pattern(300);
    const auto [sent, arrived] = co_await (WriteSingly(near, bytes) && ReadUpTo(far, bytes.size(), 1));
    CO_ASSERT_OK(sent);
    CO_ASSERT_TRUE(arrived == bytes);
  });
}

TEST_P(StreamContract, NamesItsPeer) {
  Run([](Stream& near, Stream& far) -> Awaitable<void> {
    EXPECT_FALSE(near.peer().address.empty());
    EXPECT_FALSE(far.peer().address.empty());
    co_return;
  });
}

INSTANTIATE_TEST_SUITE_P(Streams, StreamContract, testing::ValuesIn(test::AllStreamKinds()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longwire
