#include "client/target/event_queue.h"

#include <gtest/gtest.h>

namespace longwire {
namespace {

rpc::Event Text(std::size_t bytes) {
  rpc::Output output;
  output.text.assign(bytes, 'x');
  return output;
}

TEST(EventQueue, KeepsTheOrder) {
  EventQueue queue;
  queue.Push(rpc::Resumed{1});
  queue.Push(Text(3));
  EXPECT_EQ(std::get<rpc::Resumed>(*queue.Pop()).stop_counter, 1u);
  EXPECT_EQ(std::get<rpc::Output>(*queue.Pop()).text, "xxx");
  EXPECT_FALSE(queue.Pop());
}

TEST(EventQueue, TooMuchOutputIsDroppedOldestFirstAndCounted) {
  EventQueue queue;
  const std::size_t part = EventQueue::kMaxOutputBytes / 4;
  queue.Push(rpc::Resumed{1});
  for (int i = 0; i < 7; ++i) queue.Push(Text(part));
  EXPECT_TRUE(std::holds_alternative<rpc::Resumed>(*queue.Pop()));
  std::uint64_t shown = 0, skipped = 0;
  while (auto event = queue.Pop()) {
    shown += std::get<rpc::Output>(*event).text.size();
    skipped += std::get<rpc::Output>(*event).skipped;
  }
  EXPECT_EQ(shown, 4 * part);
  EXPECT_EQ(skipped, 3 * part);
}

TEST(EventQueue, LargeOutputAfterManySmallOnesIsBounded) {
  EventQueue queue;
  for (std::size_t i = 0; i < EventQueue::kMaxEvents; ++i) queue.Push(Text(1));
  for (int i = 0; i < 3; ++i) queue.Push(Text(EventQueue::kMaxOutputBytes - 10));
  EXPECT_EQ(queue.size(), 1u);
  const auto left = queue.Pop();
  ASSERT_TRUE(left);
  EXPECT_EQ(std::get<rpc::Output>(*left).skipped,
            EventQueue::kMaxEvents + 2 * (EventQueue::kMaxOutputBytes - 10));
}

TEST(EventQueue, WhatWasDroppedIsToldByTheNextOutput) {
  EventQueue queue;
  EXPECT_FALSE(queue.Push(Text(EventQueue::kMaxOutputBytes + 1)));
  EXPECT_TRUE(queue.empty());
  queue.Push(rpc::Resumed{1});
  queue.Push(Text(3));
  queue.Pop();
  EXPECT_EQ(std::get<rpc::Output>(*queue.Pop()).skipped, EventQueue::kMaxOutputBytes + 1);
  queue.Push(Text(3));
  EXPECT_EQ(std::get<rpc::Output>(*queue.Pop()).skipped, 0u);
}

TEST(EventQueue, OutputGoesBeforeAnythingElse) {
  EventQueue queue;
  for (std::size_t i = 0; i < EventQueue::kMaxEvents - 1; ++i) queue.Push(rpc::Resumed{i});
  queue.Push(Text(5));
  EXPECT_FALSE(queue.Push(rpc::Resumed{99}));
  EXPECT_EQ(std::get<rpc::Resumed>(*queue.Pop()).stop_counter, 0u);
}

TEST(EventQueue, IsBoundedWithoutOutput) {
  EventQueue queue;
  std::uint64_t dropped = 0;
  for (std::size_t i = 0; i < EventQueue::kMaxEvents + 10; ++i) {
    const auto lost = queue.Push(rpc::Resumed{i});
    if (!lost) continue;
    EXPECT_EQ(std::get<rpc::Resumed>(*lost).stop_counter, dropped++);
  }
  EXPECT_EQ(dropped, 10u) << "nobody would know";
  EXPECT_EQ(queue.size(), EventQueue::kMaxEvents);
  EXPECT_EQ(std::get<rpc::Resumed>(*queue.Pop()).stop_counter, 10u);
}

}  // namespace
}  // namespace longwire
