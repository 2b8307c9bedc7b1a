#include <gtest/gtest.h>

#include "server/kd/answer_record.h"
#include "server/kd/event_record.h"
#include "server/kd/scroll_back.h"

namespace longwire {
namespace {

using namespace std::chrono_literals;

rpc::Output Text(std::string text, std::uint32_t processor = 0) { return {std::move(text), processor}; }

TEST(EventRecord, TellsWhatFollowedTheEventThatWasSeen) {
  EventRecord record;
  for (std::uint64_t i = 1; i <= 5; ++i) EXPECT_EQ(record.Append(rpc::Resumed{i}), i);
  const auto missed = record.After(3);
  ASSERT_EQ(missed.size(), 2u);
  EXPECT_EQ(missed[0].number, 4u);
  EXPECT_EQ(std::get<rpc::Resumed>(missed[1].event).stop_counter, 5u);
  EXPECT_EQ(record.NextAfter(3), 4u);
  EXPECT_TRUE(record.After(5).empty());
}

TEST(EventRecord, OutputGoesFirstAndLeavesAMark) {
  EventRecord record;
  record.Append(rpc::Resumed{1});
  const std::string text(1000, 'x');
  std::uint64_t printed = 0;
  for (int i = 0; i < 3000; ++i, printed += text.size()) record.Append(Text(text));
  EXPECT_EQ(record.NextAfter(0), 1u) << "no event but output is gone";
  std::uint64_t told = 0;
  const auto missed = record.After(0);
  EXPECT_LE(missed.size(), EventRecord::kWatching.events);
  EXPECT_TRUE(std::holds_alternative<rpc::Resumed>(missed.front().event));
  for (const auto& one : missed) {
    if (const auto* output = std::get_if<rpc::Output>(&one.event))
      told += output->text.size() + output->skipped;
  }
  EXPECT_EQ(told, printed);
}

TEST(EventRecord, OutputThatIsGoneWithNothingPrintedSinceIsMarkedAtTheEnd) {
  EventRecord record;
  record.Append(Text("abc"));
  for (std::uint64_t i = 0; i < EventRecord::kWatching.events; ++i) record.Append(rpc::Resumed{i});
  const auto missed = record.After(0);
  const auto* mark = std::get_if<rpc::Output>(&missed.back().event);
  ASSERT_NE(mark, nullptr);
  EXPECT_EQ(mark->skipped, 3u);
}

TEST(EventRecord, OutputThatWasSeenIsNotMissed) {
  EventRecord record;
  const std::uint64_t count = EventRecord::kWatching.events + 100;
  for (std::uint64_t i = 0; i < count; ++i) record.Append(Text("12345"));
  const auto missed = record.After(count - 10);
  ASSERT_EQ(missed.size(), 10u);
  for (const auto& one : missed) EXPECT_EQ(std::get<rpc::Output>(one.event).skipped, 0u);
  // Of the hundred that are gone, ninety were seen.
  EXPECT_EQ(std::get<rpc::Output>(record.After(90).front().event).skipped, 10 * 5u);
}

TEST(EventRecord, AMinuteOfOutputIsKeptForAClientThatIsAway) {
  EventRecord record;
  record.SetBounds(EventRecord::kAway);
  constexpr int kLines = 40'000;
  for (int i = 0; i < kLines; ++i) record.Append(Text("a line of the usual length, as drivers print them\n"));
  const auto missed = record.After(0);
  ASSERT_EQ(missed.size(), static_cast<std::size_t>(kLines));
  EXPECT_EQ(std::get<rpc::Output>(missed.front().event).skipped, 0u);
}

TEST(EventRecord, NarrowerBoundsCostOutputOnly) {
  EventRecord record;
  record.SetBounds(EventRecord::kAway);
  constexpr std::uint64_t kPairs = 4000;
  for (std::uint64_t i = 1; i <= kPairs; ++i) {
    record.Append(Text("four"));
    rpc::LinkChanged changed;
    changed.text = "change " + std::to_string(i) + ", longer than a string keeps in place";
    record.Append(std::move(changed));
  }
  record.SetBounds(EventRecord::kWatching);
  record.Append(Text("last"));
  EXPECT_EQ(record.NextAfter(0), 1u);
  std::uint64_t changes = 0, told = 0, last = 0;
  for (const auto& one : record.After(0)) {
    EXPECT_GT(one.number, last);
    last = one.number;
    if (const auto* output = std::get_if<rpc::Output>(&one.event))
      told += output->text.size() + output->skipped;
    const auto* changed = std::get_if<rpc::LinkChanged>(&one.event);
    if (changed == nullptr) continue;
    EXPECT_EQ(changed->text, "change " + std::to_string(++changes) + ", longer than a string keeps in place");
  }
  EXPECT_EQ(changes, kPairs);
  EXPECT_EQ(told, (kPairs + 1) * 4);
}

TEST(EventRecord, EventsThatAreGoneShowAsAGap) {
  EventRecord record;
  for (std::uint64_t i = 1; i <= EventRecord::kWatching.events + 10; ++i) record.Append(rpc::Resumed{i});
  EXPECT_EQ(record.NextAfter(0), 11u);
  EXPECT_EQ(record.After(0).front().number, 11u);
  EXPECT_EQ(record.NextAfter(100), 101u);
}

TEST(EventRecord, NumbersMayBeginAnew) {
  EventRecord record;
  record.Append(rpc::Resumed{1});
  record.Append(rpc::Resumed{2});
  record.Rebase(700);
  EXPECT_EQ(record.NextAfter(700), 701u);
  EXPECT_EQ(record.After(700).front().number, 701u);
  EXPECT_EQ(record.Append(rpc::Resumed{3}), 703u);
  EventRecord empty;
  empty.Rebase(9);
  EXPECT_EQ(empty.Append(rpc::Resumed{1}), 10u);
}

TEST(AnswerRecord, AnswersToChangesOutlastThoseToReads) {
  AnswerRecord record;
  record.Keep({1, rpc::Response{rpc::Value{42}}, {}}, true);
  for (std::uint64_t id = 2; id < 1000; ++id)
    record.Keep({id, rpc::Response{rpc::Bytes{}}, std::vector<std::byte>(100'000)}, false);
  ASSERT_NE(record.Find(1), nullptr);
  EXPECT_EQ(std::get<rpc::Value>(std::get<rpc::Response>(record.Find(1)->message).answer).value, 42u);
  EXPECT_EQ(record.Find(2), nullptr);
  EXPECT_NE(record.Find(999), nullptr);
  record.Keep({1000, rpc::Response{rpc::Bytes{}}, std::vector<std::byte>(2u << 20)}, false);
  EXPECT_EQ(record.Find(1000), nullptr) << "too large to keep";
}

TEST(ScrollBack, KeepsTheLastBytes) {
  const ScrollBack::TimePoint start{};
  ScrollBack ring(10);
  ring.Append(start, Text("0123456"));
  ring.Append(start, Text("789abc"));
  EXPECT_EQ(ring.size(), 10u);
  const auto all = ring.Last(100, start);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].text, "3456789abc");
  EXPECT_EQ(all[0].skipped, 3u);
  EXPECT_TRUE(all[0].history);
  EXPECT_EQ(ring.Last(2, start)[0].text, "bc");
  EXPECT_EQ(ring.Last(2, start)[0].skipped, 11u);
  EXPECT_TRUE(ring.Last(0, start).empty());
  ring.Append(start, Text(std::string(50, 'z')));
  EXPECT_EQ(ring.Last(100, start)[0].text, std::string(10, 'z'));
}

TEST(ScrollBack, TellsTimesAndProcessorsApart) {
  const ScrollBack::TimePoint start{};
  ScrollBack ring;
  ring.Append(start, Text("old"));
  ring.Append(start + 10s, Text("new"));
  ring.Append(start + 10s, Text("other", 1));
  const auto recent = ring.Last(100, start + 5s);
  ASSERT_EQ(recent.size(), 2u);
  EXPECT_EQ(recent[0].text, "new");
  EXPECT_EQ(recent[0].skipped, 3u);
  EXPECT_EQ(recent[1].processor, 1u);
}

}  // namespace
}  // namespace longwire
