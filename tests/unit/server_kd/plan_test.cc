#include "proto/plan/plan_builder.h"
#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kHead = TargetSimulation::kCode + 0x2000;

/// A circular list of `count` entries, 0x40 apart, each with its number at offset 16.
void PutList(ScriptedTarget& stub, int count) {
  for (int i = 0; i <= count; ++i) {
    stub.Poke64(kHead + 0x40ull * i, i == count ? kHead : kHead + 0x40ull * (i + 1));
    stub.Poke64(kHead + 0x40ull * i + 16, i);
  }
}

plan::Plan WalkPlan(std::uint64_t limit) {
  plan::PlanBuilder builder;
  const auto head = builder.Constant(kHead);
  builder.WalkList(head, limit, 8,
                   [&](plan::Reg entry, plan::PlanBuilder::Label) { builder.EmitFixed(7, entry, 16, 8); });
  return builder.Build();
}

TEST(Plan, WalksAListInFarFewerExchangesThanLoads) {
  TargetSimulation sim;
  PutList(sim.stub, 20);
  sim.AttachHalted();
  const auto outcome = sim.Ask(rpc::RunPlan{WalkPlan(100)});
  const auto* result = outcome.as<rpc::PlanResult>();
  ASSERT_NE(result, nullptr);
  ASSERT_EQ(result->records.size(), 20u);
  EXPECT_EQ(result->ending, plan::Ending::kFinished);
  EXPECT_EQ(kd::Load64(outcome.bulk, 19 * 8), 20u);
  EXPECT_LE(sim.stub.Count(kd::Api::kReadVirtual), 11u);
  const std::size_t before = sim.stub.requests.size();
  sim.Ask(rpc::RunPlan{WalkPlan(100)});
  EXPECT_EQ(sim.stub.requests.size(), before) << "the second walk is served from the cache";
}

TEST(Plan, H57CycleEndsAtTheLimit) {
  TargetSimulation sim;
  PutList(sim.stub, 20);
  sim.stub.Poke64(kHead + 0x40 * 5, kHead + 0x40 * 2);
  sim.AttachHalted();
  const auto outcome = sim.Ask(rpc::RunPlan{WalkPlan(50)});
  ASSERT_NE(outcome.as<rpc::PlanResult>(), nullptr);
  EXPECT_EQ(outcome.as<rpc::PlanResult>()->records.size(), 50u);
}

TEST(Plan, TimeLimitEndsItWithWhatWasFound) {
  TargetOptions options;
  options.plan_time = std::chrono::milliseconds(2);
  TargetSimulation sim(options);
  PutList(sim.stub, 100);
  sim.AttachHalted();
  const auto outcome = sim.Ask(rpc::RunPlan{WalkPlan(1000)});
  ASSERT_NE(outcome.as<rpc::PlanResult>(), nullptr);
  EXPECT_EQ(outcome.as<rpc::PlanResult>()->ending, plan::Ending::kTimeLimit);
  EXPECT_FALSE(outcome.as<rpc::PlanResult>()->records.empty());
  EXPECT_LT(outcome.as<rpc::PlanResult>()->records.size(), 100u);
}

plan::Plan SearchPlan(std::uint64_t start, std::uint64_t length, kd::Bytes pattern) {
  plan::PlanBuilder builder;
  const auto from = builder.Constant(start);
  const auto size = builder.Constant(length);
  const auto found = builder.Allocate();
  const auto none = builder.NewLabel();
  builder.Search(found, from, size, std::move(pattern), none);
  builder.EmitRegister(1, found);
  builder.Bind(none);
  builder.End();
  return builder.Build();
}

TEST(Plan, SearchUsesTheTargetAndFallsBackToReading) {
  for (const bool refused : {false, true}) {
    TargetSimulation sim;
    if (refused) sim.stub.refused.insert(kd::Api::kSearchMemory);
    const kd::Bytes pattern{std::byte{0xAB}, std::byte{0xCD}, std::byte{0xEF}};
    sim.stub.Poke(TargetSimulation::kCode + 0x4FFE, pattern);
    sim.AttachHalted();
    const auto outcome = sim.Ask(rpc::RunPlan{SearchPlan(TargetSimulation::kCode, 0x8000, pattern)});
    ASSERT_NE(outcome.as<rpc::PlanResult>(), nullptr);
    ASSERT_EQ(outcome.as<rpc::PlanResult>()->records.size(), 1u);
    EXPECT_EQ(outcome.as<rpc::PlanResult>()->records[0].value, TargetSimulation::kCode + 0x4FFE);
  }
}

TEST(Plan, SearchFindsAPatternUnderABreakpoint) {
  TargetSimulation sim;
  const kd::Bytes pattern{std::byte{0xAB}, std::byte{0xCD}, std::byte{0xEF}};
  sim.stub.Poke(TargetSimulation::kCode + 0x4FFE, pattern);
  sim.AttachHalted();
  sim.SetBreakpoint(TargetSimulation::kCode + 0x4FFF);
  const auto outcome = sim.Ask(rpc::RunPlan{SearchPlan(TargetSimulation::kCode, 0x8000, pattern)});
  ASSERT_NE(outcome.as<rpc::PlanResult>(), nullptr);
  ASSERT_EQ(outcome.as<rpc::PlanResult>()->records.size(), 1u);
  EXPECT_EQ(outcome.as<rpc::PlanResult>()->records[0].value, TargetSimulation::kCode + 0x4FFE);
}

/// A target is deaf while it searches; 64 MiB in one request would look like a lost reply.
TEST(Plan, ALongSearchGoesInPartsAndMissesNothingAtTheirSeams) {
  constexpr std::uint64_t kPart = 1 << 20;
  const kd::Bytes pattern{std::byte{0xAB}, std::byte{0xCD}, std::byte{0xEF}};
  for (const auto& [offset, parts] : {std::pair{kPart - 1, 1u}, std::pair{kPart + 16, 2u}}) {
    TargetSimulation sim;
    sim.stub.Map(TargetSimulation::kCode + kPart - 0x1000, 0x2000);
    sim.stub.Poke(TargetSimulation::kCode + offset, pattern);
    sim.AttachHalted();
    const auto outcome = sim.Ask(rpc::RunPlan{SearchPlan(TargetSimulation::kCode, 64 * kPart, pattern)});
    ASSERT_NE(outcome.as<rpc::PlanResult>(), nullptr);
    ASSERT_EQ(outcome.as<rpc::PlanResult>()->records.size(), 1u);
    EXPECT_EQ(outcome.as<rpc::PlanResult>()->records[0].value, TargetSimulation::kCode + offset);
    unsigned searches = 0;
    for (const ScriptedTarget::Seen& seen : sim.stub.requests) {
      if (seen.api != kd::Api::kSearchMemory || seen.count < 1024) continue;
      ++searches;
      EXPECT_LE(seen.count, kPart + pattern.size());
    }
    EXPECT_EQ(searches, parts);
  }
}

TEST(Plan, ABadPlanIsRefused) {
  TargetSimulation sim;
  sim.AttachHalted();
  plan::Plan plan;
  plan.program.push_back({plan::Op::kJump, 0, 0, 0, 0, 99});
  const auto outcome = sim.Ask(rpc::RunPlan{plan});
  ASSERT_NE(outcome.error(), nullptr);
  EXPECT_EQ(outcome.error()->code, Errc::kMalformed);
}

}  // namespace
}  // namespace longwire::test
