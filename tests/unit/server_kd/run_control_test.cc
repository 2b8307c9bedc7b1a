#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kCode = TargetSimulation::kCode;
using kd::Api;

TEST(RunControl, H46ContinueFromAHardCodedBreakpointMovesBehindItFirst) {
  TargetSimulation sim;
  sim.AttachHalted();  // stands at the CC of the break-in
  EXPECT_NE(sim.Go().as<rpc::Done>(), nullptr);
  EXPECT_EQ(sim.Apis(), (std::vector<Api>{Api::kSetContext, Api::kContinue2}));
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  ASSERT_EQ(sim.Events<rpc::Resumed>().size(), 1u);
}

TEST(RunControl, StepFromAHardCodedBreakpointOnlyMovesBehindIt) {
  TargetSimulation sim;
  sim.AttachHalted();
  EXPECT_NE(sim.Go(true).as<rpc::Done>(), nullptr);
  EXPECT_EQ(sim.stub.Count(Api::kContinue2), 0u);
  ASSERT_TRUE(sim.target.stop().has_value());
  EXPECT_EQ(sim.target.stop()->program_counter, kCode + 1);
  EXPECT_EQ(sim.target.stop()->exception.code, kd::kExceptionSingleStep);
  EXPECT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
}

TEST(RunControl, H47ContinueFromAnOwnBreakpointStepsOffItSilently) {
  TargetSimulation sim;
  sim.AttachHalted();
  const std::uint64_t id = sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim.Run();
  ASSERT_TRUE(sim.target.stop().has_value());
  EXPECT_EQ(sim.target.stop()->breakpoints, std::vector<std::uint64_t>{id});
  sim.stub.requests.clear();
  sim.events.clear();
  std::vector<bool> traces;
  sim.stub.on_continue = [&](bool trace, std::uint64_t) {
    traces.push_back(trace);
    if (trace) sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x104);
  };
  sim.Go();
  EXPECT_EQ(traces, (std::vector<bool>{true, false}));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty()) << "the silent step is not the user's";
  EXPECT_EQ(sim.stub.breakpoints.size(), 1u) << "planted again";
  EXPECT_EQ(sim.stub.Peek(kCode + 0x100, 1)[0], std::byte{0xCC});
}

TEST(RunControl, H48BreakpointsTheReportTookOutArePlantedAgainBeforeContinue) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x204);
  sim.SetBreakpoint(kCode + 0x208);
  sim.Go();
  sim.stub.Stop(0xC0000005, kCode + 0x200);
  sim.Run();
  ASSERT_TRUE(sim.stub.breakpoints.empty()) << "the scripted target must take them out";
  sim.stub.requests.clear();
  sim.Go();
  EXPECT_EQ(sim.Apis(), (std::vector<Api>{Api::kWriteBreakpoint, Api::kWriteBreakpoint, Api::kContinue2}));
}

TEST(RunControl, H49Continue2CarriesStatusTwiceAndTheDr7OfTheReport) {
  TargetSimulation sim;
  sim.AttachHalted();
  kd::Store(std::span(sim.stub.specials[0]), 0x48, std::uint64_t{0x455});
  sim.Go();
  sim.stub.Stop(0xC0000005, kCode + 0x200);
  sim.Run();
  sim.stub.requests.clear();
  sim.Go();
  ASSERT_EQ(sim.Apis(), (std::vector<Api>{Api::kContinue2}));
  const kd::Bytes& payload = sim.stub.requests[0].payload;
  EXPECT_EQ(kd::Load32(payload, 0x08), kd::Load32(payload, 0x10));
  EXPECT_EQ(kd::Load32(payload, 0x10), kd::kContinue);
  EXPECT_EQ(kd::Load32(payload, 0x14), 0u);
  EXPECT_EQ(kd::Load64(payload, 0x18), 0x455u);
  EXPECT_EQ(kd::Load64(payload, 0x20), 1u);
}

TEST(RunControl, NotHandledGoesToTheTarget) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(0xC0000005, kCode + 0x200);
  sim.Run();
  sim.stub.requests.clear();
  rpc::Resume resume;
  resume.stop_counter = sim.target.stop()->stop_counter;
  resume.driver_epoch = 1;
  resume.handled = false;
  sim.Ask(resume);
  EXPECT_EQ(kd::Load32(sim.stub.requests.back().payload, 0x10), kd::kExceptionNotHandled);
}

TEST(RunControl, BreakpointsAtOneAddressAreBounded) {
  TargetSimulation sim;
  sim.AttachHalted();
  for (int i = 0; i < 256; ++i) sim.SetBreakpoint(kCode + 0x100);
  const auto refused = sim.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kCode, kCode + 0x100, 1});
  EXPECT_EQ(refused.as<rpc::Value>(), nullptr);
  EXPECT_NE(sim.SetBreakpoint(kCode + 0x200), 0u) << "elsewhere there is room";
}

TEST(RunControl, H50DataBreakpointIsWrittenOnEveryProcessorAndPassedToContinue) {
  TargetSimulation sim;
  sim.AttachHalted();
  const auto set = sim.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kWrite, kCode + 0x1008, 8});
  ASSERT_NE(set.as<rpc::Value>(), nullptr);
  const std::uint64_t dr7 = kd::Load64(sim.stub.specials[0], 0x48);
  EXPECT_EQ(dr7 >> 16 & 15, 0x9u) << "write, eight bytes";
  EXPECT_NE(dr7 & 3, 0u);
  for (int processor = 0; processor < 2; ++processor) {
    EXPECT_EQ(kd::Load64(sim.stub.specials[processor], 0x20), kCode + 0x1008);
    EXPECT_EQ(kd::Load64(sim.stub.specials[processor], 0x48), dr7);
  }
  std::uint64_t passed = 0;
  sim.stub.on_continue = [&](bool, std::uint64_t value) { passed = value; };
  sim.Go();
  EXPECT_EQ(passed, dr7);
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x300, 0, 1);
  sim.Run();
  ASSERT_TRUE(sim.target.stop().has_value());
  EXPECT_EQ(sim.target.stop()->breakpoints, std::vector<std::uint64_t>{set.as<rpc::Value>()->value});
  EXPECT_NE(sim.Ask(rpc::ClearBreakpoint{set.as<rpc::Value>()->value}).as<rpc::Done>(), nullptr);
  EXPECT_EQ(kd::Load64(sim.stub.specials[1], 0x48) & 3, 0u);
}

TEST(RunControl, H51StaleBreakInIsContinuedSilentlyAWantedOneIsNot) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.events.clear();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 1);  // at the resumed program counter
  sim.Run();
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  sim.Ask(rpc::BreakIn{});
  const auto stops = sim.Events<rpc::StopEvent>();
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_TRUE(stops[0].break_in);
}

TEST(RunControl, H52LoadSymbolsIsAnsweredWithContinueAndNothingElse) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.requests.clear();
  sim.events.clear();
  sim.stub.LoadSymbols("\\SystemRoot\\a.sys", 0xFFFFF80001000000);
  sim.Run();
  ASSERT_EQ(sim.Apis(), (std::vector<Api>{Api::kContinue2}));
  EXPECT_EQ(kd::Load32(sim.stub.requests[0].payload, 0x10), 0x00010002u);
  const auto modules = sim.Events<rpc::ModuleChanged>();
  ASSERT_EQ(modules.size(), 1u);
  EXPECT_EQ(modules[0].change.path, "\\SystemRoot\\a.sys");
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
}

TEST(RunControl, LoadSymbolsStopsWhenConfigured) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Ask(rpc::Configure{std::nullopt, true});
  sim.Go();
  sim.stub.LoadSymbols("b.sys", 0xFFFFF80001000000);
  sim.Run();
  ASSERT_TRUE(sim.target.stop().has_value());
  EXPECT_EQ(sim.target.stop()->reason, rpc::StopEvent::Reason::kModule);
  EXPECT_EQ(sim.target.stop()->module->path, "b.sys");
}

TEST(RunControl, H53UnloadAllDropsBreakpoints) {
  TargetSimulation sim;
  sim.AttachHalted();
  const std::uint64_t id = sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.events.clear();
  sim.stub.UnloadAll();
  sim.Run();
  const auto modules = sim.Events<rpc::ModuleChanged>();
  ASSERT_EQ(modules.size(), 1u);
  EXPECT_TRUE(modules[0].change.all);
  EXPECT_TRUE(sim.stub.running);
  sim.stub.Restart();
  sim.stub.Stop(0xC0000005, kCode + 0x200);
  sim.Run();
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  const auto cleared = sim.Ask(rpc::ClearBreakpoint{id});
  ASSERT_NE(cleared.error(), nullptr);
  EXPECT_EQ(cleared.error()->code, Errc::kNotFound);
}

TEST(RunControl, CommandStringIsPrintedAndContinued) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.CommandString("who", "!analyze");
  sim.Run();
  const auto output = sim.Events<rpc::Output>();
  ASSERT_EQ(output.size(), 1u);
  EXPECT_EQ(output[0].text, "who: !analyze\n");
  EXPECT_TRUE(sim.stub.running);
}

TEST(RunControl, H59BugcheckPrintThenBreakIsReportedAsBugcheck) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Print("\n*** Fatal System Error: 0x000000d1\n");
  sim.stub.Print(
      "                       "
      "(0xFFFFF80000001234,0x0000000000000002,0x0000000000000001,0xFFFFF80000005678)\n");
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode);
  sim.Run();
  ASSERT_TRUE(sim.target.stop().has_value()) << "not taken for a stale break-in";
  ASSERT_TRUE(sim.target.stop()->bugcheck.has_value());
  EXPECT_EQ(sim.target.stop()->bugcheck->code, 0xD1u);
  EXPECT_EQ(sim.target.stop()->bugcheck->parameters,
            (std::array<std::uint64_t, 4>{0xFFFFF80000001234, 2, 1, 0xFFFFF80000005678}));
}

TEST(RunControl, ResumeOfAnOlderStopOrDriverIsFenced) {
  TargetSimulation sim;
  sim.AttachHalted();
  rpc::Resume resume;
  resume.stop_counter = sim.target.stop()->stop_counter + 1;
  resume.driver_epoch = 1;
  auto outcome = sim.Ask(resume);
  ASSERT_NE(outcome.error(), nullptr);
  EXPECT_EQ(outcome.error()->code, Errc::kFenced);
  resume.stop_counter = sim.target.stop()->stop_counter;
  resume.driver_epoch = 0;
  outcome = sim.Ask(resume);
  ASSERT_NE(outcome.error(), nullptr);
  EXPECT_EQ(outcome.error()->code, Errc::kFenced);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(sim.stub.Count(Api::kContinue2), 0u);
}

TEST(RunControl, TemporaryBreakpointsAreRemovedAtTheStop) {
  TargetSimulation sim;
  sim.AttachHalted();
  rpc::Resume resume;
  resume.stop_counter = sim.target.stop()->stop_counter;
  resume.driver_epoch = 1;
  resume.temporary_breakpoints = {kCode + 0x500, kCode + 0x700};
  EXPECT_NE(sim.Ask(resume).as<rpc::Done>(), nullptr);
  EXPECT_EQ(sim.stub.breakpoints.size(), 2u);
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x500);
  sim.Run();
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_TRUE(sim.stub.breakpoints.empty());
  EXPECT_NE(sim.stub.Peek(kCode + 0x700, 1)[0], std::byte{0xCC});
}

TEST(RunControl, RequestsOfARunningTargetAreRefused) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  const auto outcome = sim.Ask(rpc::GetContext{0});
  ASSERT_NE(outcome.error(), nullptr);
  EXPECT_EQ(outcome.error()->code, Errc::kTargetRunning);
}

TEST(RunControl, ResynchronizeInTheMiddleOfAStopReportBeginsAnew) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.Stop(kd::kExceptionAccessViolation, kCode + 0x40);
  // The report arrives, and the first question about the stop is on its way.
  sim.target.Receive(sim.now, sim.stub.TakeOutput());
  ASSERT_TRUE(sim.Events<rpc::StopEvent>().empty());
  sim.Ask(rpc::Resynchronize{});
  sim.Run(std::chrono::seconds(6));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
  EXPECT_EQ(sim.Events<rpc::StopEvent>()[0].program_counter, kCode + 0x40);
}

TEST(BadLine, AStopIsStillThatOfItsBreakpointWhenItHasToBeReportedAgain) {
  TargetSimulation sim;
  sim.AttachHalted();
  const std::uint64_t id = sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.mute = {Api::kGetContext, Api::kGetContextEx};
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim.Run(std::chrono::seconds(4));
  ASSERT_TRUE(sim.Events<rpc::StopEvent>().empty());
  sim.stub.mute.clear();
  sim.Run(std::chrono::seconds(10));
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
  EXPECT_EQ(sim.Events<rpc::StopEvent>()[0].breakpoints, std::vector{id});
}

TEST(BadLine, AStepThatIsNoRunEndsAlsoWhenTheLineFailsBehindIt) {
  TargetSimulation sim;
  sim.AttachHalted();  // stands at the CC of the break-in
  // What the stack was read for is read anew behind the step, and fails.
  kd::Bytes context = sim.Ask(rpc::GetContext{0}).bulk;
  kd::Store(std::span(context), 0x98, TargetSimulation::kStack + 0xC00);
  ASSERT_NE(sim.Ask(rpc::SetContext{0}, context).as<rpc::Done>(), nullptr);
  sim.stub.mute = {Api::kReadVirtual};
  EXPECT_NE(sim.Go(true).as<rpc::Done>(), nullptr);
  sim.Run(std::chrono::seconds(4));
  ASSERT_TRUE(sim.Events<rpc::StopEvent>().empty());
  sim.stub.mute.clear();
  sim.Run(std::chrono::seconds(10));
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
  EXPECT_EQ(sim.Events<rpc::StopEvent>()[0].program_counter, kCode + 1);
  EXPECT_EQ(sim.Events<rpc::StopEvent>()[0].exception.code, kd::kExceptionSingleStep);
}

TEST(BadLine, AReportRepeatedUnderwayIsNoNewStop) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim.Run();
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
  sim.events.clear();
  // The silent step off the breakpoint is reported twice, the second time while the first is dealt with.
  sim.stub.on_continue = [&](bool trace, std::uint64_t) {
    if (!trace) return;
    sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x101);
    sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x101);
  };
  sim.Go();
  sim.Run(std::chrono::seconds(1));
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
}

TEST(BadLine, AStopReportedAgainAfterALostContinueIsWhereItsRegistersSay) {
  TargetSimulation sim;
  sim.AttachHalted();  // stands at the CC of the break-in
  kd::Store(std::span(sim.stub.contexts[0]), 0xF8, kCode);
  sim.Go();
  ASSERT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1);
  // It never went: the acknowledge was of something else.
  sim.stub.running = false;
  sim.events.clear();
  sim.Ask(rpc::Resynchronize{});
  sim.Run(std::chrono::seconds(6));
  const auto stops = sim.Events<rpc::StopEvent>();
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_EQ(kd::Load64(stops[0].context, 0xF8), kCode + 1);
  EXPECT_EQ(stops[0].program_counter, kCode + 1);
  EXPECT_NE(sim.Go().as<rpc::Done>(), nullptr);
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1);
}

TEST(BadLine, ABreakpointOfUnknownFateIsTakenOut) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.stub.Poke(kCode + 0x100, {std::byte{0x90}});
  sim.stub.unanswered = {Api::kWriteBreakpoint};
  std::optional<rpc::Answer> answer;
  sim.target.Perform(
      sim.now, 100, rpc::SetBreakpoint{rpc::BreakpointKind::kCode, kCode + 0x100, 1}, {},
      [&](rpc::Answer got, kd::Bytes) { answer = std::move(got); }, false);
  sim.Run(std::chrono::seconds(8));
  ASSERT_TRUE(answer && std::holds_alternative<Error>(*answer));
  ASSERT_EQ(sim.stub.breakpoints.size(), 1u) << "the target planted it, and nobody knows";
  sim.stub.unanswered.clear();
  EXPECT_EQ(sim.Read(kCode + 0x100, 1), kd::Bytes{std::byte{0x90}});
  EXPECT_TRUE(sim.stub.breakpoints.empty());
}

TEST(BadLine, ABreakInThatWasLostIsSentAgain) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.stop_on_break_in = false;
  const int before = sim.stub.break_ins;
  sim.Ask(rpc::BreakIn{});
  sim.Run(std::chrono::seconds(1));
  sim.stub.stop_on_break_in = true;
  EXPECT_EQ(sim.stub.break_ins, before + 1);
  sim.Run(std::chrono::seconds(2));
  EXPECT_EQ(sim.stub.break_ins, before + 2);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
}

TEST(BadLine, ATargetThatNeverAnswersTheBreakInIsReportedMissingAndAttachedToLater) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.stub.stop_on_break_in = false;
  sim.Ask(rpc::BreakIn{});
  sim.Run(std::chrono::seconds(13));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kOffline);
  const auto changes = sim.Events<rpc::LinkChanged>();
  ASSERT_FALSE(changes.empty());
  EXPECT_TRUE(changes.back().failed);
  EXPECT_NE(changes.back().text.find("check the cable"), std::string::npos);
  sim.stub.stop_on_break_in = true;
  sim.Run(std::chrono::seconds(20));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
}

TEST(Leave, ARunningTargetThatRestartsMeanwhileRunsOn) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.stop_on_break_in = false;
  bool done = false;
  sim.target.Leave(sim.now, false, [&] { done = true; });
  sim.Run(std::chrono::milliseconds(100));
  sim.stub.Restart();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode);
  sim.Run(std::chrono::seconds(2));
  EXPECT_TRUE(done);
  EXPECT_TRUE(sim.stub.running);
}

TEST(Leave, RunningTargetWithBreakpointsIsCleanedAndRunsOn) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kWrite, kCode + 0x1000, 4});
  sim.Go();
  bool done = false;
  sim.target.Leave(sim.now, true, [&] { done = true; });
  sim.Run();
  EXPECT_TRUE(done);
  EXPECT_TRUE(sim.stub.running);
  EXPECT_TRUE(sim.stub.breakpoints.empty());
  EXPECT_EQ(kd::Load64(sim.stub.specials[0], 0x48) & 0xFF, 0u);
}

TEST(Leave, HaltedTargetStaysHaltedOrResumes) {
  for (const bool resume : {false, true}) {
    TargetSimulation sim;
    sim.AttachHalted();
    sim.SetBreakpoint(kCode + 0x100);
    bool done = false;
    sim.target.Leave(sim.now, resume, [&] { done = true; });
    sim.Run();
    EXPECT_TRUE(done);
    EXPECT_EQ(sim.stub.running, resume);
    EXPECT_TRUE(sim.stub.breakpoints.empty());
  }
}

TEST(Leave, SilentTargetIsGivenUpInTime) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.stop_on_break_in = false;
  bool done = false;
  sim.target.Leave(sim.now, true, [&] { done = true; });
  sim.Run(std::chrono::milliseconds(3100));
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace longwire::test
