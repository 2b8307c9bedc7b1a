#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kCode = TargetSimulation::kCode;
/// The ids of both ends are apart then, which a missing reply shows and a RESET mends.
constexpr std::chrono::seconds kResetSpan{12};
constexpr std::uint64_t kStepped = 0x4000;  ///< Dr6 of a trap
using kd::Api;

/// The Continue does not arrive, and the report of the stop, sent again, passes for its acknowledge.
class LostContinue : public testing::Test {
 protected:
  LostContinue() { sim_.AttachHalted(); }

  void RunToStop(std::uint32_t code, std::uint64_t at, std::uint64_t dr6 = 0) {
    sim_.Go();
    sim_.stub.Stop(code, at, 0, dr6);
    sim_.Run();
  }
  /// From here on it counts what is continued, and a step ends at `trap_`.
  void LoseTheNext() {
    sim_.events.clear();
    sim_.stub.lost = {Api::kContinue2};
    sim_.stub.on_continue = [this](bool trace, std::uint64_t) {
      traces_.push_back(trace);
      if (trace) sim_.stub.Stop(kd::kExceptionSingleStep, trap_, 0, kStepped);
    };
  }

  TargetSimulation sim_;
  std::vector<bool> traces_;
  std::uint64_t trap_ = 0;
};

TEST_F(LostContinue, FromAHardCodedBreakpointIsSentAgain) {
  // It stands at the CC of the break-in.
  kd::Store(std::span(sim_.stub.contexts[0]), 0xF8, kCode);
  sim_.stub.lost = {Api::kContinue2};
  EXPECT_NE(sim_.Go().as<rpc::Done>(), nullptr);
  EXPECT_TRUE(sim_.stub.lost.empty());
  sim_.Run(kResetSpan);
  EXPECT_TRUE(sim_.stub.running);
  EXPECT_EQ(sim_.target.state(), rpc::TargetState::kRunning);
  EXPECT_EQ(sim_.Events<rpc::Resumed>().size(), 1u);
  EXPECT_TRUE(sim_.Events<rpc::StopEvent>().empty()) << "a stop nobody asked for";
  EXPECT_EQ(kd::Load64(sim_.stub.contexts[0], 0xF8), kCode + 1);
}

TEST_F(LostContinue, FromATrapIsSentAgainAsItWas) {
  RunToStop(kd::kExceptionSingleStep, kCode + 0x40, kStepped);
  LoseTheNext();
  sim_.Go();
  sim_.Run(kResetSpan);
  EXPECT_EQ(traces_, std::vector{false});
  EXPECT_TRUE(sim_.Events<rpc::StopEvent>().empty());
}

TEST_F(LostContinue, FromAnOwnBreakpointIsSentAgainAsItWas) {
  sim_.SetBreakpoint(kCode + 0x100);
  RunToStop(kd::kExceptionBreakpoint, kCode + 0x100);
  LoseTheNext();
  trap_ = kCode + 0x101;
  sim_.Go();
  sim_.Run(kResetSpan);
  EXPECT_EQ(traces_, (std::vector{true, false})) << "off the breakpoint, and on";
  EXPECT_TRUE(sim_.Events<rpc::StopEvent>().empty());
  EXPECT_EQ(sim_.stub.breakpoints.size(), 1u) << "planted again";
}

TEST_F(LostContinue, IsFollowedByAnotherThatFails) {
  sim_.SetBreakpoint(kCode + 0x100);
  RunToStop(kd::kExceptionBreakpoint, kCode + 0x100);
  LoseTheNext();
  trap_ = kCode + 0x101;
  sim_.Go();
  sim_.stub.upset = {Api::kContinue2};
  sim_.Run(2 * kResetSpan);
  EXPECT_TRUE(sim_.stub.upset.empty());
  EXPECT_EQ(traces_, (std::vector{true, false}));
  EXPECT_TRUE(sim_.Events<rpc::StopEvent>().empty()) << "the silent step is not the user's";
  EXPECT_EQ(sim_.target.state(), rpc::TargetState::kRunning);
}

TEST_F(LostContinue, FromATrapAtAnOwnBreakpointIsSentAgainAsItWas) {
  RunToStop(kd::kExceptionSingleStep, kCode + 0x40, kStepped);
  sim_.SetBreakpoint(kCode + 0x40);
  LoseTheNext();
  trap_ = kCode + 0x41;
  sim_.Go();
  sim_.Run(kResetSpan);
  EXPECT_EQ(traces_, (std::vector{true, false})) << "off the breakpoint, and on";
  EXPECT_TRUE(sim_.Events<rpc::StopEvent>().empty());
}

TEST_F(LostContinue, IsNotAnInt1ThatCameAgain) {
  RunToStop(kd::kExceptionSingleStep, kCode + 0x40);
  sim_.stub.lost = {Api::kContinue2};
  sim_.Go();
  sim_.Run(kResetSpan);
  EXPECT_EQ(sim_.Events<rpc::StopEvent>().size(), 2u);
}

TEST_F(LostContinue, IsNotOneAfterWhichTheTargetSpoke) {
  RunToStop(kd::kExceptionSingleStep, kCode + 0x40, kStepped);
  sim_.stub.unacknowledged = {Api::kContinue2};
  sim_.stub.on_continue = [&](bool, std::uint64_t) { sim_.stub.Print("on its way"); };
  RunToStop(kd::kExceptionSingleStep, kCode + 0x40, kStepped);
  EXPECT_EQ(sim_.Events<rpc::StopEvent>().size(), 2u);
}

TEST_F(LostContinue, OfATargetThatSpeaksOutOfTurnIsSentAgainToo) {
  kd::Store(std::span(sim_.stub.contexts[0]), 0xF8, kCode);
  sim_.stub.lost = {Api::kContinue2};
  sim_.Go();
  sim_.stub.Print("while it is asked for its registers");
  sim_.Run(kResetSpan);
  EXPECT_TRUE(sim_.stub.running);
  EXPECT_TRUE(sim_.Events<rpc::StopEvent>().empty());
}

TEST_F(LostContinue, LeavesTheBreakpointsThatWerePlantedForIt) {
  RunToStop(kd::kExceptionSingleStep, kCode + 0x40, kStepped);
  const std::uint64_t near = sim_.SetBreakpoint(kCode + 0x44);
  sim_.stub.lost = {Api::kContinue2};
  sim_.Go();
  sim_.Run(kResetSpan);
  ASSERT_TRUE(sim_.stub.running);
  EXPECT_EQ(sim_.stub.breakpoints.size(), 1u);
  sim_.stub.Stop(kd::kExceptionAccessViolation, kCode + 0x200);
  sim_.Run();
  sim_.Ask(rpc::ClearBreakpoint{near});
  EXPECT_TRUE(sim_.stub.breakpoints.empty()) << "one that nobody knows of";
}

TEST_F(LostContinue, IsNotOneThatCameBackToItsBreakpoint) {
  sim_.stub.Poke(kCode + 0x300, {std::byte{0xCC}});
  RunToStop(kd::kExceptionBreakpoint, kCode + 0x300);
  ASSERT_EQ(sim_.Events<rpc::StopEvent>().size(), 1u);
  sim_.stub.on_continue = [&](bool, std::uint64_t) {
    sim_.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x300);
  };
  sim_.Go();
  EXPECT_EQ(sim_.Events<rpc::StopEvent>().size(), 2u) << "the same bytes are another hit";
}

TEST_F(LostContinue, ThatCannotBeToldFromAnotherHitLeavesNothingBehindEither) {
  RunToStop(kd::kExceptionAccessViolation, kCode + 0x40);
  const std::uint64_t near = sim_.SetBreakpoint(kCode + 0x44);
  sim_.stub.lost = {Api::kContinue2};
  sim_.Go();
  sim_.Run(kResetSpan);
  ASSERT_EQ(sim_.Events<rpc::StopEvent>().size(), 2u);
  sim_.Ask(rpc::ClearBreakpoint{near});
  EXPECT_TRUE(sim_.stub.breakpoints.empty()) << "one that nobody knows of";
}

TEST_F(LostContinue, ATargetThatTakesNoneAfterASilentStepIsShownToo) {
  sim_.SetBreakpoint(kCode + 0x100);
  RunToStop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim_.events.clear();
  // The silent step is taken, and nothing behind it.
  sim_.stub.on_continue = [&](bool trace, std::uint64_t) {
    sim_.stub.Stop(kd::kExceptionSingleStep, kCode + 0x101, 0, kStepped);
    if (trace) sim_.stub.unacknowledged = {Api::kContinue2};
  };
  sim_.Go();
  for (int i = 0; i < 40 && sim_.Events<rpc::StopEvent>().empty(); ++i) {
    sim_.stub.unacknowledged = {Api::kContinue2};
    sim_.Run();
  }
  EXPECT_EQ(sim_.Events<rpc::StopEvent>().size(), 1u);
}

TEST_F(LostContinue, ATargetThatTakesNoneIsShownWhereItIs) {
  kd::Store(std::span(sim_.stub.contexts[0]), 0xF8, kCode);
  sim_.stub.mute = {Api::kContinue2};
  sim_.Go();
  for (int i = 0; i < 20 && sim_.Events<rpc::StopEvent>().empty(); ++i) {
    sim_.stub.ReportAgain();
    sim_.Run();
  }
  ASSERT_EQ(sim_.Events<rpc::StopEvent>().size(), 1u);
  EXPECT_EQ(sim_.Events<rpc::StopEvent>()[0].program_counter, kCode + 1);
  EXPECT_EQ(sim_.target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(sim_.stub.Count(Api::kContinue2), 9u);
}

}  // namespace
}  // namespace longwire::test
