#include "proto/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "proto/plan/plan_builder.h"

namespace longwire::plan {
namespace {

using ::testing::ElementsAre;

/// Memory of one address space by byte; what is not there is unreadable.
class Memory {
 public:
  void Write(std::uint64_t address, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) bytes_[address + i] = static_cast<std::byte>(value >> (8 * i));
  }

  std::vector<std::byte> Read(std::uint64_t address, std::uint64_t length) const {
    std::vector<std::byte> prefix;
    for (auto at = bytes_.find(address); at != bytes_.end() && prefix.size() < length;
         at = bytes_.find(++address)) {
      prefix.push_back(at->second);
    }
    return prefix;
  }

  Output Run(const Plan& plan, Limits limits = {}) {
    EXPECT_TRUE(Validate(plan).has_value());
    Interpreter interpreter(plan, limits);
    for (;;) {
      const auto action = interpreter.Next();
      if (action.kind == Interpreter::Action::Kind::kDone) return interpreter.TakeOutput();
      spaces.push_back(action.space);
      if (action.kind == Interpreter::Action::Kind::kRead) {
        interpreter.SupplyMemory(Read(action.address, action.length));
        continue;
      }
      const auto area = Read(action.address, action.length);
      const auto hit = std::search(area.begin(), area.end(), action.pattern.begin(), action.pattern.end());
      interpreter.SupplySearch(hit != area.end(),
                               action.address + static_cast<std::uint64_t>(hit - area.begin()));
    }
  }

  std::vector<AddressSpace> spaces;

 private:
  std::map<std::uint64_t, std::byte> bytes_;
};

std::vector<std::uint64_t> Values(const Output& output) {
  std::vector<std::uint64_t> values;
  for (const Record& record : output.records) values.push_back(record.value);
  return values;
}

std::vector<std::uint64_t> Addresses(const Output& output) {
  std::vector<std::uint64_t> addresses;
  for (const Record& record : output.records) addresses.push_back(record.address);
  return addresses;
}

constexpr std::uint64_t kHead = 0xFFFFF80000001000;

/// A list with its head at kHead and elements of 32 bytes at kHead + 100h * n; the last element leads to
/// `back`.
Memory List(int elements, std::uint64_t back = kHead) {
  Memory memory;
  for (int i = 0; i <= elements; ++i) {
    const std::uint64_t at = kHead + 0x100 * static_cast<std::uint64_t>(i);
    memory.Write(at, i == elements ? back : at + 0x100, 8);
    memory.Write(at + 8, 0, 8);
    memory.Write(at + 16, 0xAA00 + static_cast<std::uint64_t>(i), 8);
  }
  return memory;
}

Plan WalkPlan(std::uint64_t limit) {
  PlanBuilder builder;
  const Reg head = builder.Constant(kHead);
  builder.WalkList(head, limit, 8,
                   [&](Reg entry, PlanBuilder::Label) { builder.EmitFixed(3, entry, 16, 8); });
  builder.End();
  return builder.Build();
}

TEST(PlanWalkList, VisitsEveryElementOnce) {
  Memory memory = List(3);
  const Output output = memory.Run(WalkPlan(100));
  EXPECT_EQ(output.ending, Ending::kFinished);
  EXPECT_THAT(Addresses(output), ElementsAre(kHead + 0x110, kHead + 0x210, kHead + 0x310));
  ASSERT_EQ(output.data.size(), 24u);
  EXPECT_EQ(output.data[8], std::byte{0x02});
  EXPECT_EQ(output.records[0].tag, 3u);
}

TEST(PlanWalkList, EmptyList) {
  Memory memory = List(0);
  EXPECT_TRUE(memory.Run(WalkPlan(100)).records.empty());
}

TEST(PlanWalkList, CycleThatMissesTheHeadEndsAtTheLimit) {
  Memory memory = List(3, kHead + 0x200);
  const Output output = memory.Run(WalkPlan(10));
  EXPECT_EQ(output.ending, Ending::kFinished);
  EXPECT_EQ(output.records.size(), 10u);
}

TEST(PlanWalkList, EndsAtNullAndAtAnUnreadableLink) {
  Memory null_ended = List(3, 0);
  EXPECT_EQ(null_ended.Run(WalkPlan(100)).records.size(), 3u);
  Memory broken = List(3, 0x123456);
  const Output output = broken.Run(WalkPlan(100));
  EXPECT_EQ(output.records.size(), 4u) << "the unreadable element itself is emitted, empty";
  EXPECT_EQ(output.records[3].data_size, 0u);
}

TEST(PlanWalkList, BodyMaySkipToTheNext) {
  Memory memory = List(4);
  PlanBuilder builder;
  const Reg head = builder.Constant(kHead);
  const Reg value = builder.Allocate();
  const Reg unwanted = builder.Constant(0xAA02);
  builder.WalkList(head, 100, 8, [&](Reg entry, PlanBuilder::Label next) {
    builder.Load(value, 8, entry, 16, next);
    builder.JumpEqual(value, unwanted, next);
    builder.EmitRegister(1, value);
  });
  EXPECT_THAT(Values(memory.Run(builder.Build())), ElementsAre(0xAA01, 0xAA03, 0xAA04));
}

class SearchSorted : public ::testing::Test {
 protected:
  /// The address found for `key` in an array of 12-byte elements with the given keys, 0 for none.
  std::uint64_t Find(const std::vector<std::uint32_t>& keys, std::uint32_t key) {
    Memory memory;
    for (std::size_t i = 0; i < keys.size(); ++i) memory.Write(0x5000 + 12 * i, keys[i], 12);
    PlanBuilder builder;
    const Reg found = builder.Allocate();
    const Reg base = builder.Constant(0x5000);
    const Reg count = builder.Constant(keys.size());
    const Reg wanted = builder.Constant(key);
    const auto none = builder.NewLabel();
    builder.SearchSorted(found, base, count, 12, wanted, none);
    builder.EmitRegister(0, found);
    builder.Bind(none);
    const Output output = memory.Run(builder.Build());
    reads = memory.spaces.size();
    return output.records.empty() ? 0 : output.records[0].value;
  }
  std::size_t reads = 0;
};

TEST_F(SearchSorted, AgreesWithALinearSearch) {
  const std::vector<std::uint32_t> keys{10, 20, 30, 40, 50, 0xFFFFFFF0};
  for (const std::uint32_t key :
       {0u, 9u, 10u, 11u, 20u, 25u, 49u, 50u, 51u, 0xFFFFFFEFu, 0xFFFFFFF0u, 0xFFFFFFFFu}) {
    std::uint64_t expected = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] <= key) expected = 0x5000 + 12 * i;
    }
    EXPECT_EQ(Find(keys, key), expected) << key;
  }
}

TEST_F(SearchSorted, EmptyArray) { EXPECT_EQ(Find({}, 5), 0u); }

TEST_F(SearchSorted, ReadsLogarithmically) {
  std::vector<std::uint32_t> keys(1000);
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = static_cast<std::uint32_t>(i * 3);
  EXPECT_EQ(Find(keys, 1501), 0x5000u + 12 * 500);
  EXPECT_LE(reads, 10u);
}

TEST(PlanInterpreter, Arithmetic) {
  PlanBuilder builder;
  const Reg a = builder.Constant(100), b = builder.Constant(7), c = builder.Allocate();
  const auto emit = [&] { builder.EmitRegister(0, c); };
  builder.Add(c, a, b), emit();
  builder.Subtract(c, b, a), emit();
  builder.Multiply(c, b, 6), emit();
  builder.And(c, a, 0x0F), emit();
  builder.ShiftLeft(c, b, 63), emit();
  builder.ShiftRight(c, a, 2), emit();
  builder.Minimum(c, a, b), emit();
  builder.AddImmediate(c, a, ~std::uint64_t{0}), emit();
  builder.Move(c, b), emit();
  Memory memory;
  EXPECT_THAT(Values(memory.Run(builder.Build())),
              ElementsAre(107, ~std::uint64_t{92}, 42, 4, std::uint64_t{1} << 63, 25, 7, 99, 7));
}

TEST(PlanInterpreter, Jumps) {
  PlanBuilder builder;
  const Reg one = builder.Constant(1), two = builder.Constant(2);
  const auto below = builder.NewLabel(), differ = builder.NewLabel(), end = builder.NewLabel();
  builder.JumpBelow(two, one, end);
  builder.JumpBelow(one, two, below);
  builder.EmitRegister(9, one);
  builder.Bind(below);
  builder.JumpNotEqual(one, two, differ);
  builder.EmitRegister(9, one);
  builder.Bind(differ);
  builder.EmitRegister(1, two);
  builder.Jump(end);
  builder.EmitRegister(9, one);
  builder.Bind(end);
  Memory memory;
  EXPECT_THAT(Values(memory.Run(builder.Build())), ElementsAre(2));
}

TEST(PlanInterpreter, LoadSizesAreLittleEndian) {
  Memory memory;
  memory.Write(0x100, 0x8877665544332211, 8);
  PlanBuilder builder;
  const Reg base = builder.Constant(0xF0), value = builder.Allocate();
  const auto none = builder.NewLabel();
  for (const unsigned size : {1u, 2u, 4u, 8u}) {
    builder.Load(value, size, base, 0x10, none);
    builder.EmitRegister(size, value);
  }
  builder.Bind(none);
  EXPECT_THAT(Values(memory.Run(builder.Build())), ElementsAre(0x11, 0x2211, 0x44332211, 0x8877665544332211));
}

TEST(PlanInterpreter, PartialLoadJumps) {
  Memory memory;
  memory.Write(0x100, 1, 7);
  PlanBuilder builder;
  const Reg base = builder.Constant(0x100), value = builder.Constant(77);
  const auto none = builder.NewLabel();
  builder.Load(value, 8, base, 0, none);
  builder.EmitRegister(1, base);
  builder.Bind(none);
  builder.EmitRegister(2, value);
  EXPECT_THAT(Values(memory.Run(builder.Build())), ElementsAre(77));
}

TEST(PlanInterpreter, EmitOfPartlyReadableMemory) {
  Memory memory;
  memory.Write(0x100, 0x0102030405, 5);
  PlanBuilder builder;
  const Reg base = builder.Constant(0x100);
  builder.EmitFixed(4, base, 0, 16);
  const Output output = memory.Run(builder.Build());
  ASSERT_EQ(output.records.size(), 1u);
  EXPECT_EQ(output.records[0].value, 16u);
  EXPECT_EQ(output.records[0].data_size, 5u);
  EXPECT_EQ(output.data.size(), 5u);
}

TEST(PlanInterpreter, AddressSpaces) {
  Memory memory;
  PlanBuilder builder;
  const Reg base = builder.Constant(0x1AA000);
  builder.EmitFixed(0, base, 0, 1);
  builder.UsePhysical();
  builder.EmitFixed(0, base, 0, 1);
  builder.UsePageTable(base);
  builder.EmitFixed(0, base, 0, 1);
  builder.UseVirtual();
  builder.EmitFixed(0, base, 0, 1);
  memory.Run(builder.Build());
  EXPECT_THAT(memory.spaces, ElementsAre(AddressSpace::Virtual(), AddressSpace::Physical(),
                                         AddressSpace::PageTable(0x1AA000), AddressSpace::Virtual()));
}

TEST(PlanInterpreter, Search) {
  Memory memory;
  memory.Write(0x100, 0, 8);
  memory.Write(0x108, 0x4B444247, 4);
  PlanBuilder builder;
  const Reg from = builder.Constant(0x100), length = builder.Constant(12), found = builder.Allocate();
  const auto none = builder.NewLabel();
  builder.Search(found, from, length, {std::byte{0x42}, std::byte{0x44}}, none);
  builder.EmitRegister(1, found);
  builder.Search(found, from, length, {std::byte{0x99}}, none);
  builder.EmitRegister(2, found);
  builder.Bind(none);
  EXPECT_THAT(Values(memory.Run(builder.Build())), ElementsAre(0x109));
}

TEST(PlanLimits, EndlessLoop) {
  PlanBuilder builder;
  const auto loop = builder.NewLabel();
  builder.Bind(loop);
  builder.Jump(loop);
  Memory memory;
  EXPECT_EQ(memory.Run(builder.Build()).ending, Ending::kOperationLimit);
}

TEST(PlanLimits, BytesAndRecords) {
  Memory memory;
  memory.Write(0, 0, 8);
  PlanBuilder builder;
  const Reg zero = builder.Constant(0);
  const auto loop = builder.NewLabel();
  builder.Bind(loop);
  builder.EmitFixed(0, zero, 0, 8);
  builder.Jump(loop);
  const Plan plan = builder.Build();
  Output output = memory.Run(plan, {.bytes = 20});
  EXPECT_EQ(output.ending, Ending::kByteLimit);
  EXPECT_EQ(output.records.size(), 2u);
  output = memory.Run(plan, {.records = 5});
  EXPECT_EQ(output.ending, Ending::kRecordLimit);
  EXPECT_EQ(output.records.size(), 5u);
}

TEST(PlanLimits, HugeEmitIsCut) {
  PlanBuilder builder;
  const Reg zero = builder.Constant(0);
  builder.EmitFixed(0, zero, 0, ~std::uint64_t{0});
  Memory memory;
  const Output output = memory.Run(builder.Build());
  ASSERT_EQ(output.records.size(), 1u);
  EXPECT_EQ(output.records[0].value, kMaxEmitBytes);
}

TEST(PlanLimits, SearchedBytes) {
  PlanBuilder builder;
  const Reg zero = builder.Constant(0), length = builder.Constant(~std::uint64_t{0}),
            found = builder.Allocate();
  const auto none = builder.NewLabel();
  builder.Search(found, zero, length, {std::byte{1}}, none);
  builder.Bind(none);
  Memory memory;
  EXPECT_EQ(memory.Run(builder.Build()).ending, Ending::kByteLimit);
}

TEST(PlanLimits, StopKeepsWhatWasFound) {
  Plan plan;
  plan.program.push_back({.op = Op::kEmitRegister});
  plan.program.push_back({.op = Op::kLoad, .size = 8, .target = 2});
  Interpreter interpreter(plan);
  EXPECT_EQ(interpreter.Next().kind, Interpreter::Action::Kind::kRead);
  interpreter.Stop(Ending::kCancelled);
  interpreter.SupplyMemory({});
  EXPECT_EQ(interpreter.Next().kind, Interpreter::Action::Kind::kDone);
  const Output output = interpreter.TakeOutput();
  EXPECT_EQ(output.ending, Ending::kCancelled);
  EXPECT_EQ(output.records.size(), 1u);
}

Errc Refusal(Plan plan) {
  const auto result = Validate(plan);
  return result.has_value() ? Errc{} : result.error().code;
}

Plan Single(Instruction instruction) {
  Plan plan;
  plan.program.push_back(instruction);
  return plan;
}

TEST(PlanValidate, RefusesBadPlans) {
  EXPECT_EQ(Refusal(Single({.op = static_cast<Op>(kLastOp + 1)})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kMove, .a = 16})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kMove, .b = 16})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kAdd, .c = 255})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kJump, .target = 2})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kJump, .target = 1})), Errc{});
  EXPECT_EQ(Refusal(Single({.op = Op::kLoad, .size = 3})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kLoad, .size = 8, .target = 9})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kShiftLeft, .immediate = 64})), Errc::kMalformed);
  EXPECT_EQ(Refusal(Single({.op = Op::kSearch})), Errc::kMalformed);
}

TEST(PlanValidate, RefusesTooMuch) {
  Plan plan;
  plan.program.resize(kMaxInstructions);
  EXPECT_EQ(Refusal(plan), Errc{});
  plan.program.resize(kMaxInstructions + 1);
  EXPECT_EQ(Refusal(plan), Errc::kLimitExceeded);
  plan = {};
  plan.patterns.assign(kMaxPatterns + 1, {std::byte{1}});
  EXPECT_EQ(Refusal(plan), Errc::kLimitExceeded);
  plan.patterns.assign(1, {});
  EXPECT_EQ(Refusal(plan), Errc::kLimitExceeded);
  plan.patterns.assign(1, std::vector<std::byte>(kMaxPatternBytes + 1));
  EXPECT_EQ(Refusal(plan), Errc::kLimitExceeded);
}

}  // namespace
}  // namespace longwire::plan
