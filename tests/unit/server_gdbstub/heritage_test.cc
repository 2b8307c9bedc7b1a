// A server that was killed and started again finds its stub as it left it, or stopped since.
#include "tests/unit/server_gdbstub/stub_bench.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kCode = ScriptedStub::kCode;

class Heritage : public StubBench {
 protected:
  /// What the earlier process knew, and the attach of the later one.
  void OpenAgain(std::vector<PlacedBreakpoint> breakpoints, bool halted) {
    TargetHeritage heritage;
    heritage.breakpoints = std::move(breakpoints);
    heritage.halted = halted;
    heritage.stop_counter = 7;
    target.Inherit(heritage);
    target.SetDriver(now, 2, false);
    target.Opened(now);
    Run();
  }
  std::vector<rpc::StopEvent> Stops() const {
    std::vector<rpc::StopEvent> stops;
    for (const rpc::Event& event : events) {
      if (const auto* stop = std::get_if<rpc::StopEvent>(&event)) stops.push_back(*stop);
    }
    return stops;
  }
};

const PlacedBreakpoint kCodePoint{3, rpc::BreakpointKind::kCode, kCode + 0x40, 1, 1, {}};
const PlacedBreakpoint kDataPoint{4, rpc::BreakpointKind::kWrite, kCode + 0x100, 8, 0, {}};

TEST_F(Heritage, ARunningMachineRunsOnWithItsBreakpoints) {
  OpenAgain({kCodePoint, kDataPoint}, false);
  EXPECT_EQ(target.state(), rpc::TargetState::kRunning);
  EXPECT_TRUE(Stops().empty());
  EXPECT_EQ(stub.Count("Z0,fffff80000001040,1"), 1u);
  EXPECT_EQ(stub.Count("Z2,fffff80000001100,8"), 1u);
  EXPECT_EQ(target.Breakpoints().size(), 2u);
  stub.program_counter = kCode + 0x40;
  stub.Stop("T05thread:01;");
  Run();
  ASSERT_EQ(Stops().size(), 1u);
  EXPECT_EQ(Stops()[0].breakpoints, std::vector<std::uint64_t>{3});
  EXPECT_EQ(Stops()[0].stop_counter, 8u);
}

TEST_F(Heritage, AStoppedMachineStaysStopped) {
  OpenAgain({kCodePoint}, true);
  EXPECT_EQ(target.state(), rpc::TargetState::kHalted);
  EXPECT_FALSE(stub.running);
  EXPECT_EQ(stub.Count("vCont;c"), 0u);
}

TEST_F(Heritage, AHitThatNobodySawIsTold) {
  // The stub, asked anew, tells of its first processor; the second ran into the breakpoint.
  std::string chosen;
  stub.instead = [&](std::string_view asked) -> std::optional<std::string> {
    if (asked.starts_with("Hg")) chosen = asked.substr(2);
    stub.program_counter = chosen == "02" ? kCode + 0x40 : kCode;
    return std::nullopt;
  };
  OpenAgain({kCodePoint}, false);
  ASSERT_EQ(Stops().size(), 1u);
  EXPECT_EQ(Stops()[0].breakpoints, std::vector<std::uint64_t>{3});
  EXPECT_EQ(Stops()[0].processor, 1u);
  EXPECT_EQ(Stops()[0].program_counter, kCode + 0x40);
}

TEST_F(Heritage, TheEndOfAStepThatNobodySawIsTold) {
  stub.program_counter = kCode + 0x40;
  PlacedBreakpoint temporary = kCodePoint;
  temporary.id = 0;
  OpenAgain({temporary}, false);
  ASSERT_EQ(Stops().size(), 1u);
  EXPECT_EQ(Stops()[0].program_counter, kCode + 0x40);
  EXPECT_TRUE(target.Breakpoints().empty());
}

TEST_F(Heritage, ADataBreakpointThatTheStubDoesNotTakeIsGone) {
  stub.instead = [](std::string_view asked) {
    return asked.starts_with("Z2") ? std::optional<std::string>("E22") : std::nullopt;
  };
  OpenAgain({kDataPoint}, false);
  EXPECT_EQ(target.state(), rpc::TargetState::kRunning);
  EXPECT_TRUE(target.Breakpoints().empty());
}

}  // namespace
}  // namespace longwire::test
