#include "tests/unit/client_commands/command_fixture.h"

namespace longwire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint64_t kCode = kDriver + 0x1000;
constexpr std::size_t kRcx = 0x80, kRsp = 0x98, kRip = 0xF8;  // in an AMD64 CONTEXT

class RunCommands : public CommandTest {
 protected:
  static std::vector<std::byte> Context(std::uint64_t rip, std::uint64_t rcx = 0) {
    std::vector<std::byte> context(0x4D0);
    for (unsigned i = 0; i < 8; ++i) {
      context[kRip + i] = static_cast<std::byte>(rip >> (8 * i));
      context[kRcx + i] = static_cast<std::byte>(rcx >> (8 * i));
      context[kRsp + i] = static_cast<std::byte>(std::uint64_t{0xFFFFF80040000000} >> (8 * i));
    }
    return context;
  }
  void HaltAt(std::uint64_t at) { Halt(++counter_, Context(at), at); }
  void QueueStop(std::uint64_t at, std::vector<std::uint64_t> breakpoints = {}, std::uint64_t rcx = 0) {
    rpc::StopEvent stop;
    stop.stop_counter = ++counter_;
    stop.program_counter = at;
    stop.exception.code = 0x80000003;
    stop.breakpoints = std::move(breakpoints);
    stop.context = Context(at, rcx);
    target_.QueueEvent(stop);
  }
  /// `count` times `mov eax,1`, 5 bytes each, from `at`.
  std::uint64_t PutMoves(std::uint64_t at, unsigned count) {
    for (unsigned i = 0; i < count; ++i, at += 5) target_.Put(at, 0x00000001B8, 5);
    return at;
  }
  std::string Prompt() {
    Report report({});
    auto stop = WaitForPrompt(*session_, {}, std::chrono::steady_clock::now(), report);
    stopped_ = stop && stop->has_value();
    return report.text();
  }

  std::uint64_t counter_ = 1;
  bool stopped_ = false;
};

TEST_F(RunCommands, ToTheNextCallIsOneRunOverStraightCode) {
  const std::uint64_t call = PutMoves(kCode, 4);
  target_.Put(call, 0x00000000E8, 5);
  HaltAt(kCode);
  QueueStop(call);
  EXPECT_THAT(Run("pc"), HasSubstr("call"));
  EXPECT_EQ(error_, "");
  ASSERT_EQ(target_.resumes().size(), 1u);
  EXPECT_FALSE(target_.resumes()[0].step);
  EXPECT_THAT(target_.resumes()[0].temporary_breakpoints, ElementsAre(call));
}

TEST_F(RunCommands, ToAnAddressNeverRunsPastIt) {
  const std::uint64_t end = PutMoves(kCode, 6);
  target_.Put(end, 0xC3, 1);
  HaltAt(kCode);
  QueueStop(kCode + 15);
  Run("pa mydrv+100f");
  EXPECT_EQ(error_, "");
  ASSERT_EQ(target_.resumes().size(), 1u);
  EXPECT_THAT(target_.resumes()[0].temporary_breakpoints, ElementsAre(kCode + 15));
}

TEST_F(RunCommands, WhatMovesTheStackIsSteppedAlone) {
  target_.Put(kCode, 0x50, 1);  // push rax
  const std::uint64_t end = PutMoves(kCode + 1, 3);
  target_.Put(end, 0xC3, 1);
  HaltAt(kCode);
  QueueStop(kCode + 1);
  QueueStop(end);
  EXPECT_THAT(Run("tt"), HasSubstr("ret"));
  EXPECT_EQ(error_, "");
  ASSERT_EQ(target_.resumes().size(), 2u);
  EXPECT_TRUE(target_.resumes()[0].step);
  EXPECT_THAT(target_.resumes()[1].temporary_breakpoints, ElementsAre(end));
}

TEST_F(RunCommands, TheSelectedProcessorSteps) {
  target_.Put(kCode, 0xCCC3, 2);
  target_.Put(kCode + 0x100, 0x00000000E8, 5);
  HaltAt(kCode);
  target_.SetContext(1, Context(kCode + 0x100));
  rpc::StopEvent step;
  step.stop_counter = ++counter_;
  step.processor = 1;
  step.processors = 2;
  step.program_counter = kCode + 0x120;
  step.exception.code = 0x80000004;
  step.context = Context(kCode + 0x120);
  target_.QueueEvent(step);
  EXPECT_THAT(Run("~1s; t"), HasSubstr("20001120"));
  EXPECT_EQ(error_, "");
  ASSERT_EQ(target_.resumes().size(), 1u);
  EXPECT_TRUE(target_.resumes()[0].step);
  EXPECT_EQ(target_.resumes()[0].step_processor, 1u);
  EXPECT_EQ(session_->processor(), 1u);
  step.stop_counter = ++counter_;
  target_.QueueEvent(step);
  Run("t");
  ASSERT_EQ(target_.resumes().size(), 2u);
  EXPECT_FALSE(target_.resumes()[1].step_processor) << "it is the one that stopped";
}

TEST_F(RunCommands, OverACallOfTheSelectedProcessor) {
  target_.Put(kCode, 0xCCC3, 2);
  target_.Put(kCode + 0x100, 0x00000000E8, 5);
  HaltAt(kCode);
  target_.SetContext(1, Context(kCode + 0x100));
  rpc::StopEvent stop;
  stop.stop_counter = ++counter_;
  stop.processor = 1;
  stop.processors = 2;
  stop.program_counter = kCode + 0x105;
  stop.exception.code = 0x80000003;
  stop.context = Context(kCode + 0x105);
  target_.QueueEvent(stop);
  Run("~1s; p");
  EXPECT_EQ(error_, "");
  ASSERT_EQ(target_.resumes().size(), 1u);
  EXPECT_THAT(target_.resumes()[0].temporary_breakpoints, ElementsAre(kCode + 0x105));
}

TEST_F(RunCommands, ABreakpointOnTheWayEndsTheStep) {
  const std::uint64_t call = PutMoves(kCode, 4);
  target_.Put(call, 0x00000000E8, 5);
  HaltAt(kCode);
  Run("bp mydrv+1005");
  QueueStop(kCode + 5, {100});
  EXPECT_THAT(Run("tc"), StartsWith("Breakpoint 0 hit\n"));
  EXPECT_EQ(target_.resumes().size(), 1u);
}

TEST_F(RunCommands, ABreakpointThatLetsPassWhereTheStepEndsDoesNotLoseIt) {
  const std::uint64_t call = PutMoves(kCode, 4);
  target_.Put(call, 0x00000000E8, 5);
  HaltAt(kCode);
  Run("bp /w \"@rcx == 9\" mydrv+1014");
  QueueStop(call, {100}, 1);
  EXPECT_THAT(Run("pc"), HasSubstr("call"));
  EXPECT_EQ(error_, "");
  EXPECT_EQ(target_.resumes().size(), 1u);
}

TEST_F(RunCommands, ABreakpointStopsWhenItsConditionHolds) {
  Run("bp /w \"@rcx == 5\" mydrv+1000 2 \".echo here\"");
  EXPECT_EQ(error_, "");
  QueueStop(kCode, {100}, 1);
  QueueStop(kCode, {100}, 5);  // the first pass of two
  QueueStop(kCode, {100}, 6);
  QueueStop(kCode, {100}, 5);
  Run("g");
  EXPECT_THAT(Prompt(), StartsWith("Breakpoint 0 hit\n"));
  EXPECT_TRUE(stopped_);
  EXPECT_EQ(target_.resumes().size(), 4u);
  EXPECT_EQ(session_->TakeQueuedCommands(), ".echo here");
  EXPECT_THAT(Run("bl"), HasSubstr("\n     /w \"@rcx == 5\"\n"));
}

TEST_F(RunCommands, AConditionThatCannotBeFoundOutStops) {
  Run("bp /w \"poi(7000)\" mydrv+1000");
  QueueStop(kCode, {100});
  Run("g");
  EXPECT_THAT(Prompt(), HasSubstr("cannot be found out"));
  EXPECT_TRUE(stopped_);
}

TEST_F(RunCommands, TheDepthOfTheStackIsACondition) {
  Run("bp /c 0 mydrv+1000");
  EXPECT_THAT(error_, HasSubstr("1 to 1023"));
  Run("bp /C 40 mydrv+1000");
  QueueStop(kCode, {100});
  Run("g");
  (void)Prompt();
  EXPECT_FALSE(stopped_) << "a stack that cannot be walked is no 64 frames deep";
}

TEST_F(RunCommands, BreakpointsAreRenumberedAndGetOtherCommands) {
  Run("bp mydrv+1000; bp mydrv+2000; br 0 1 1 0");
  EXPECT_EQ(error_, "");
  EXPECT_EQ(session_->breakpoints().Find(1)->address, kDriver + 0x1000);
  Run("br 0 1");
  EXPECT_THAT(error_, HasSubstr("two breakpoints 1"));
  Run("bs 1 \"k;g\"; bsc 0 \"@rax == 1\" \"r\"; bd 0");
  EXPECT_EQ(error_, "");
  EXPECT_EQ(Run(".bpcmds"),
            "bp0 /w \"@rax == 1\" 0xfffff800`20002000 \"r\";bd 0;\n"
            "bp1 0xfffff800`20001000 \"k;g\";\n");
  Run("bs 1");
  EXPECT_EQ(session_->breakpoints().Find(1)->commands, "");
  EXPECT_THAT((Run("bs 7"), error_), HasSubstr("does not exist"));
}

TEST_F(RunCommands, GoneOnWithTheExceptionHandledOrNot) {
  rpc::StopEvent stop;
  stop.stop_counter = ++counter_;
  stop.exception.code = 0xC0000005;
  stop.context = Context(kCode);
  for (const auto& [command, handled] : {std::pair("gh", true), {"gn", false}, {"g", false}}) {
    target_.Halt(stop);
    session_->OnEvent(stop);
    Run(command);
    EXPECT_EQ(target_.resumes().back().handled, handled) << command;
  }
}

TEST_F(RunCommands, TheBreakAtTheNextBootIsAtItsFirstModuleOrAsSoonAsItsKernelAnswers) {
  EXPECT_EQ(Run(".ctrl k"), "Will request initial breakpoint at next boot.\n");
  EXPECT_EQ(target_.calls().back(), "Configure reboot on");
  rpc::StopEvent booted = ModuleStop(++counter_, kKernel, false);
  booted.restarted = booted.break_in = true;
  target_.QueueEvent(booted);
  Run("g");
  (void)Prompt();
  EXPECT_FALSE(stopped_);
  EXPECT_EQ(target_.calls().back(), "BreakIn");

  Halt(++counter_);
  EXPECT_EQ(Run(".ctrl K"), "Will breakin on first symbol load at next boot.\n");
  booted.stop_counter = ++counter_;
  target_.QueueEvent(booted);
  Run("g");
  (void)Prompt();
  EXPECT_TRUE(stopped_);
  EXPECT_EQ(Run(".ctrl k"), "Will NOT breakin at next boot.\n");
  EXPECT_EQ(target_.calls().back(), "Configure reboot off");
}

}  // namespace
}  // namespace longwire
