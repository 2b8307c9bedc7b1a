#include <gmock/gmock.h>

#include "tests/unit/server_kd/target_simulation.h"

// Other processors than the one that stopped the machine (kd-protocol.md 3.6, 5.6).
namespace longwire::test {
namespace {

using kd::Api;

constexpr std::uint64_t kCode = TargetSimulation::kCode;

TEST(Processors, H58SwitchProcessorTakesTheStateChangeOfTheOther) {
  TargetSimulation sim;
  sim.AttachHalted();
  EXPECT_NE(sim.Ask(rpc::SwitchProcessor{1}).as<rpc::Done>(), nullptr);
  ASSERT_TRUE(sim.target.stop().has_value());
  EXPECT_EQ(sim.target.stop()->processor, 1u);
  EXPECT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
}

TEST(Processors, H58SwitchProcessorWithoutAnswerIsAnErrorAfterTheTimeout) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.stub.mute.insert(Api::kSwitchProcessor);
  std::optional<rpc::Answer> answer;
  sim.target.Perform(sim.now, 900, rpc::SwitchProcessor{1}, {},
                     [&](rpc::Answer given, kd::Bytes) { answer = given; });
  sim.Run(std::chrono::seconds(10));
  ASSERT_TRUE(answer.has_value());
  ASSERT_TRUE(std::holds_alternative<Error>(*answer));
  EXPECT_EQ(std::get<Error>(*answer).code, Errc::kTimedOut);
}

/// A target that brings the reporter of a stop back after the continue of another processor (5.6).
struct OtherProcessorTest : testing::Test {
  static constexpr std::uint64_t kThere = 0xFFFFF80000003000;  // where the other processor stands

  void SetUp() override {
    sim.AttachHalted();
    sim.stub.on_continue = [this](bool trace, std::uint64_t) {
      traces.push_back(trace);
      if (trace) return sim.stub.Stop(reporter_code, kCode, 0);
      sim.stub.Stop(kd::kExceptionSingleStep, kThere + 3, 1);
    };
  }
  TargetSimulation::Outcome Step(std::uint32_t processor) {
    rpc::Resume resume;
    resume.stop_counter = sim.target.stop()->stop_counter;
    resume.driver_epoch = 1;
    resume.step = true;
    resume.processor = processor;
    return sim.Ask(resume);
  }

  TargetSimulation sim;
  std::vector<bool> traces;
  std::uint32_t reporter_code = kd::kExceptionBreakpoint;
};

TEST_F(OtherProcessorTest, StepsWhileTheReporterOfTheStopIsLetGo) {
  EXPECT_NE(Step(1).as<rpc::Done>(), nullptr);
  EXPECT_EQ(traces, (std::vector<bool>{true, false}));
  const auto stops = sim.Events<rpc::StopEvent>();
  ASSERT_EQ(stops.size(), 1u) << "the reporter's second report is nobody's";
  EXPECT_EQ(stops[0].processor, 1u);
  EXPECT_EQ(stops[0].program_counter, kThere + 3);
  EXPECT_EQ(stops[0].exception.code, kd::kExceptionSingleStep);
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1) << "behind its hard-coded breakpoint";
  std::vector<std::uint16_t> continued;
  for (const auto& seen : sim.stub.requests) {
    if (seen.api == Api::kContinue2) continued.push_back(seen.processor);
  }
  EXPECT_EQ(continued, (std::vector<std::uint16_t>{1, 0}));
}

TEST_F(OtherProcessorTest, ASwitchAnsweredWithAnotherReportIsRefused) {
  sim.stub.mute.insert(Api::kSwitchProcessor);
  std::optional<rpc::Answer> answer;
  sim.target.Perform(sim.now, 900, rpc::SwitchProcessor{1}, {},
                     [&](rpc::Answer given, kd::Bytes) { answer = given; });
  sim.Run(std::chrono::milliseconds(500));
  sim.stub.LoadSymbols("\\odd.sys", 0xFFFFF80000100000);
  sim.Run(std::chrono::seconds(1));
  ASSERT_TRUE(answer && std::holds_alternative<Error>(*answer));
  EXPECT_NE(sim.Go(true).as<rpc::Done>(), nullptr);
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1);
}

TEST_F(OtherProcessorTest, AStepThatFailsBehindTheSwitchTellsWhereItStands) {
  sim.SetBreakpoint(kThere + 4);  // taken out by the report, and planted again before the step
  sim.stub.mute = {Api::kWriteBreakpoint};
  sim.events.clear();
  rpc::Resume resume;
  resume.stop_counter = sim.target.stop()->stop_counter;
  resume.driver_epoch = 1;
  resume.step = true;
  resume.processor = 1;
  std::optional<rpc::Answer> answer;
  sim.target.Perform(sim.now, 900, resume, {}, [&](rpc::Answer given, kd::Bytes) { answer = given; });
  sim.Run(std::chrono::seconds(30));
  ASSERT_TRUE(answer && std::holds_alternative<Error>(*answer));
  ASSERT_TRUE(sim.target.stop().has_value());
  EXPECT_EQ(sim.target.stop()->processor, 1u) << "that is the current one by now";
  EXPECT_TRUE(traces.empty());
}

TEST_F(OtherProcessorTest, AReporterThatComesBackAsWokenIsLetGoToo) {
  reporter_code = kd::kExceptionWakeDebugger;
  EXPECT_NE(Step(1).as<rpc::Done>(), nullptr);
  EXPECT_EQ(traces, (std::vector<bool>{true, false}));
  ASSERT_EQ(sim.Events<rpc::StopEvent>().size(), 1u);
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1);
}

TEST_F(OtherProcessorTest, OwnBreakpointsWhereBothStandStayOutForTheStep) {
  sim.SetBreakpoint(kThere);
  sim.SetBreakpoint(kCode + 0x100);
  sim.SetBreakpoint(kCode + 0x200);
  sim.stub.on_continue = nullptr;
  sim.Go();
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim.Run();
  std::vector<std::size_t> planted;
  sim.stub.on_continue = [&](bool trace, std::uint64_t) {
    planted.push_back(sim.stub.breakpoints.size());
    if (trace) return sim.stub.Stop(kd::kExceptionBreakpoint, kCode + 0x100, 0);
    sim.stub.Stop(kd::kExceptionSingleStep, kThere + 3, 1);
  };
  EXPECT_NE(Step(1).as<rpc::Done>(), nullptr);
  ASSERT_EQ(planted.size(), 2u);
  EXPECT_EQ(planted[1], 1u);
  EXPECT_EQ(sim.target.stop()->program_counter, kThere + 3);
  sim.stub.on_continue = nullptr;
  sim.Go();
  EXPECT_EQ(sim.stub.breakpoints.size(), 3u) << "all are back";
}

TEST_F(OtherProcessorTest, ATargetThatRunsAtOnceIsRightToo) {
  sim.stub.on_continue = [this](bool trace, std::uint64_t) {
    traces.push_back(trace);
    sim.stub.Stop(kd::kExceptionSingleStep, kThere + 3, 1);
  };
  EXPECT_NE(Step(1).as<rpc::Done>(), nullptr);
  EXPECT_EQ(traces, std::vector<bool>{true});
  ASSERT_TRUE(sim.target.stop());
  EXPECT_EQ(sim.target.stop()->processor, 1u);
}

TEST_F(OtherProcessorTest, TheExceptionOfTheReporterGoesBackAsAsked) {
  sim.stub.on_continue = nullptr;
  sim.Go();
  sim.stub.Stop(0xC0000005, kCode + 0x200);
  sim.Run();
  sim.stub.on_continue = [this](bool trace, std::uint64_t) {
    traces.push_back(trace);
    if (trace) return sim.stub.Stop(0xC0000005, kCode + 0x200, 0);
    sim.stub.Stop(kd::kExceptionSingleStep, kThere + 3, 1);
  };
  sim.stub.requests.clear();
  rpc::Resume resume{sim.target.stop()->stop_counter, 1, true, false, {}, 1};
  EXPECT_NE(sim.Ask(resume).as<rpc::Done>(), nullptr);
  std::vector<std::uint32_t> statuses;
  for (const auto& seen : sim.stub.requests) {
    if (seen.api == Api::kContinue2) statuses.push_back(kd::Load32(seen.payload, 0x10));
  }
  EXPECT_EQ(statuses, (std::vector<std::uint32_t>{kd::kContinue, kd::kExceptionNotHandled}));
  ASSERT_TRUE(sim.target.stop());
  EXPECT_EQ(sim.target.stop()->processor, 1u);
}

TEST_F(OtherProcessorTest, AReporterThatWasMovedGoesOnWhereItWasMovedTo) {
  kd::Bytes context = sim.stub.contexts[0];
  kd::Store(std::span(context), 0xF8, kCode + 0x300);
  EXPECT_NE(sim.Ask(rpc::SetContext{0}, context).as<rpc::Done>(), nullptr);
  sim.stub.on_continue = [&](bool trace, std::uint64_t) {
    traces.push_back(trace);
    sim.stub.Stop(trace ? kd::kExceptionBreakpoint : kd::kExceptionSingleStep, trace ? kCode : kThere + 3,
                  trace ? 0 : 1);
    sim.stub.contexts[0] = context;  // the report alone says the place before
  };
  EXPECT_NE(Step(1).as<rpc::Done>(), nullptr);
  EXPECT_EQ(traces, (std::vector<bool>{true, false}));
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 0x300);
}

TEST_F(OtherProcessorTest, AReporterThatWasMovedWhileAnotherIsLookedAtGoesOnThereToo) {
  sim.Ask(rpc::SwitchProcessor{1});
  kd::Bytes context = sim.stub.contexts[0];
  kd::Store(std::span(context), 0xF8, kCode + 0x300);
  EXPECT_NE(sim.Ask(rpc::SetContext{0}, context).as<rpc::Done>(), nullptr);
  sim.stub.on_continue = [&](bool, std::uint64_t) {
    traces.push_back(false);
    if (traces.size() > 1) return;
    sim.stub.Stop(kd::kExceptionBreakpoint, kCode, 0);
    sim.stub.contexts[0] = context;  // the report alone says the place before
  };
  sim.Go();
  EXPECT_EQ(traces.size(), 2u);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 0x300);
}

TEST_F(OtherProcessorTest, AnotherStopOfTheReporterIsTold) {
  sim.stub.on_continue = [this](bool trace, std::uint64_t) {
    traces.push_back(trace);
    if (trace) sim.stub.Stop(0xC0000005, kCode + 0x500, 0);
  };
  EXPECT_NE(Step(1).as<rpc::Done>(), nullptr);
  EXPECT_EQ(traces, std::vector<bool>{true});
  ASSERT_TRUE(sim.target.stop());
  EXPECT_EQ(sim.target.stop()->program_counter, kCode + 0x500);
}

TEST_F(OtherProcessorTest, AfterASwitchAGoLetsTheReporterGoToo) {
  sim.Ask(rpc::SwitchProcessor{1});
  ASSERT_EQ(sim.target.stop()->processor, 1u);
  sim.events.clear();
  sim.stub.on_continue = [this](bool, std::uint64_t) {
    traces.push_back(false);
    if (traces.size() == 1) sim.stub.Stop(kd::kExceptionBreakpoint, kCode, 0);
  };
  sim.Go();
  EXPECT_EQ(traces.size(), 2u);
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), kCode + 1);
}

TEST_F(OtherProcessorTest, SwitchedThereAndBackTheReporterIsAsBefore) {
  sim.stub.on_continue = nullptr;
  sim.stub.Poke(0xFFFFF80000003000, {std::byte{0xCC}});  // where a switch leads on the scripted target
  sim.Ask(rpc::SwitchProcessor{1});
  sim.Ask(rpc::SwitchProcessor{0});
  ASSERT_EQ(sim.target.stop()->processor, 0u);
  sim.stub.requests.clear();
  sim.Go();
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  EXPECT_EQ(kd::Load64(sim.stub.contexts[0], 0xF8), 0xFFFFF80000003001u) << "its breakpoint is behind it";
}

TEST_F(OtherProcessorTest, AStepUnderWayEndsBeforeADeparture) {
  sim.stub.on_continue = [this](bool trace, std::uint64_t) { traces.push_back(trace); };
  EXPECT_NE(Step(1).as<rpc::Done>(), nullptr);
  bool gone = false;
  sim.target.Leave(sim.now, false, [&] { gone = true; });
  sim.Run(std::chrono::milliseconds(10));
  EXPECT_FALSE(gone) << "the trap would stop the target for good";
  sim.stub.Stop(kd::kExceptionBreakpoint, kCode, 0);
  sim.Run(std::chrono::milliseconds(10));
  EXPECT_EQ(traces, (std::vector<bool>{true, false}));
  EXPECT_FALSE(gone);
  sim.stub.Stop(kd::kExceptionSingleStep, kThere + 3, 1);
  sim.Run(std::chrono::milliseconds(10));
  EXPECT_TRUE(gone);
  EXPECT_EQ(traces.size(), 3u);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
}

TEST_F(OtherProcessorTest, AStepThatNeverEndsDoesNotKeepADeparture) {
  sim.stub.on_continue = nullptr;
  EXPECT_NE(sim.Go(true).as<rpc::Done>(), nullptr);
  ASSERT_TRUE(sim.target.stop()) << "over the hard-coded breakpoint";
  EXPECT_NE(sim.Go(true).as<rpc::Done>(), nullptr);
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  bool gone = false;
  sim.target.Leave(sim.now, false, [&] { gone = true; });
  sim.Run(std::chrono::seconds(2));
  EXPECT_TRUE(gone);
}

TEST_F(OtherProcessorTest, WhatCannotBeSwitchedToIsNotStepped) {
  EXPECT_EQ(Step(7).error()->code, Errc::kUsage);
  sim.stub.mute.insert(Api::kSwitchProcessor);
  std::optional<rpc::Answer> answer;
  rpc::Resume resume{sim.target.stop()->stop_counter, 1, true, true, {}, 1};
  sim.target.Perform(sim.now, 900, resume, {}, [&](rpc::Answer given, kd::Bytes) { answer = given; });
  sim.Run(std::chrono::seconds(10));
  ASSERT_TRUE(answer);
  ASSERT_TRUE(std::holds_alternative<Error>(*answer));
  EXPECT_THAT(std::get<Error>(*answer).message, testing::HasSubstr("did not switch to processor 1"));
  EXPECT_TRUE(traces.empty());
  ASSERT_TRUE(sim.target.stop());
  EXPECT_EQ(sim.target.stop()->processor, 0u);
}

}  // namespace
}  // namespace longwire::test
