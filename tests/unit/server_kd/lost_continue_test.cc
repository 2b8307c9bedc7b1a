#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kCode = TargetSimulation::kCode;
/// The ids of both ends are apart then, which a missing reply shows and a RESET mends.
constexpr std::chrono::seconds kResetSpan{12};
constexpr std::uint64_t kStepped = 0x4000;  ///< Dr6 of a trap
using kd::Api;

// The Continue does not arrive, and the report of the stop, sent again, passes for its acknowledge.
TEST(LostContinue, FromAHardCodedBreakpointIsSentAgain) {
  TargetSimulation sim;
  sim.AttachHalted();  // stands at the CC of the break-in
  kd::Store(std::span(sim.stub.contexts[0]), 0xF8, kCode);
  sim.stub.lost = {Api::kContinue2};
  EXPECT_NE(sim.Go().as<rpc::Done>(), nullptr);
  EXPECT_TRUE(sim.stub.lost.empty());
  sim.Run(kResetSpan);
  EXPECT_TRUE(sim.stub.running);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  EXPECT_EQ(sim.Events<rpc::Resumed>().size(), 1u);
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty()) << "a stop nobody asked for";
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1);
}

TEST(LostContinue, FromATrapIsSentAgainAsItWas) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x40, 0, kStepped);
  sim.Run();
  sim.events.clear();
  sim.stub.lost = {Api::kContinue2};
  std::vector<bool> traces;
  sim.stub.on_continue = [&](bool trace, std::uint64_t) { traces.push_back(trace); };
  sim.Go();
  sim.Run(kResetSpan);
  EXPECT_EQ(traces, std::vector{false});
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
}

TEST(LostContinue, FromAnOwnBreakpointIsSentAgainAsItWas) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim.Run();
  sim.events.clear();
  sim.stub.lost = {Api::kContinue2};
  std::vector<bool> traces;
  sim.stub.on_continue = [&](bool trace, std::uint64_t) {
    traces.push_back(trace);
    if (trace) sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x101);
  };
  sim.Go();
  sim.Run(kResetSpan);
  EXPECT_EQ(traces, (std::vector{true, false})) << "off the breakpoint, and on";
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
  EXPECT_EQ(sim.stub.breakpoints.size(), 1u) << "planted again";
}

TEST(LostContinue, IsFollowedByAnotherThatFails) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim.Run();
  sim.events.clear();
  sim.stub.lost = {Api::kContinue2};
  std::vector<bool> traces;
  sim.stub.on_continue = [&](bool trace, std::uint64_t) {
    traces.push_back(trace);
    if (trace) sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x101, 0, kStepped);
  };
  sim.Go();
  sim.stub.upset = {Api::kContinue2};
  sim.Run(2 * kResetSpan);
  EXPECT_TRUE(sim.stub.upset.empty());
  EXPECT_EQ(traces, (std::vector{true, false}));
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty()) << "the silent step is not the user's";
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
}

TEST(LostContinue, FromATrapAtAnOwnBreakpointIsSentAgainAsItWas) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x40, 0, kStepped);
  sim.Run();
  sim.SetBreakpoint(kCode + 0x40);
  sim.events.clear();
  sim.stub.lost = {Api::kContinue2};
  std::vector<bool> traces;
  sim.stub.on_continue = [&](bool trace, std::uint64_t) {
    traces.push_back(trace);
    if (trace) sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x41, 0, kStepped);
  };
  sim.Go();
  sim.Run(kResetSpan);
  EXPECT_EQ(traces, (std::vector{true, false})) << "off the breakpoint, and on";
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
}

TEST(LostContinue, IsNotAnInt1ThatCameAgain) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x40);
  sim.Run();
  sim.stub.lost = {Api::kContinue2};
  sim.Go();
  sim.Run(kResetSpan);
  EXPECT_EQ(sim.Events<rpc::StopEvent>().size(), 2u);
}

TEST(LostContinue, IsNotOneAfterWhichTheTargetSpoke) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x40, 0, kStepped);
  sim.Run();
  sim.stub.on_continue = [&](bool, std::uint64_t) { sim.stub.Print("on its way"); };
  sim.Go();
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x40, 0, kStepped);
  sim.Run();
  EXPECT_EQ(sim.Events<rpc::StopEvent>().size(), 2u);
}

TEST(LostContinue, OfATargetThatSpeaksOutOfTurnIsSentAgainToo) {
  TargetSimulation sim;
  sim.AttachHalted();
  kd::Store(std::span(sim.stub.contexts[0]), 0xF8, kCode);
  sim.stub.lost = {Api::kContinue2};
  sim.Go();
  sim.stub.Print("while it is asked for its registers");
  sim.Run(kResetSpan);
  EXPECT_TRUE(sim.stub.running);
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
}

TEST(LostContinue, LeavesTheBreakpointsThatWerePlantedForIt) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x40, 0, kStepped);
  sim.Run();
  const std::uint64_t near = sim.SetBreakpoint(kCode + 0x44);
  sim.stub.lost = {Api::kContinue2};
  sim.Go();
  sim.Run(kResetSpan);
  ASSERT_TRUE(sim.stub.running);
  EXPECT_EQ(sim.stub.breakpoints.size(), 1u);
  sim.stub.Stop(kd::kExceptionAccessViolation, kCode + 0x200);
  sim.Run();
  sim.Ask(rpc::ClearBreakpoint{near});
  EXPECT_TRUE(sim.stub.breakpoints.empty()) << "one that nobody knows of";
}

TEST(LostContinue, IsNotOneThatCameBackToItsBreakpoint) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.stub.Poke(kCode + 0x300, {std::byte{0xCC}});
  sim.Go();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x300);
  sim.Run();
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
  sim.stub.on_continue = [&](bool, std::uint64_t) { sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x300); };
  sim.Go();
  EXPECT_EQ(sim.Events<rpc::StopEvent>().size(), 2u) << "the same bytes are another hit";
}

TEST(LostContinue, ThatCannotBeToldFromAnotherHitLeavesNothingBehindEither) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(kd::kExceptionAccessViolation, kCode + 0x40);
  sim.Run();
  const std::uint64_t near = sim.SetBreakpoint(kCode + 0x44);
  sim.stub.lost = {Api::kContinue2};
  sim.Go();
  sim.Run(kResetSpan);
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 2u);
  sim.Ask(rpc::ClearBreakpoint{near});
  EXPECT_TRUE(sim.stub.breakpoints.empty()) << "one that nobody knows of";
}

TEST(LostContinue, ATargetThatTakesNoneIsShownWhereItIs) {
  TargetSimulation sim;
  sim.AttachHalted();
  kd::Store(std::span(sim.stub.contexts[0]), 0xF8, kCode);
  sim.stub.mute = {Api::kContinue2};
  sim.Go();
  for (int i = 0; i < 20 && sim.Events<rpc::StopEvent>().empty(); ++i) {
    sim.stub.ReportAgain();
    sim.Run();
  }
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
  EXPECT_EQ(sim.Events<rpc::StopEvent>()[0].program_counter, kCode + 1);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(sim.stub.Count(Api::kContinue2), 9u);
}

}  // namespace
}  // namespace longwire::test
