#include <fstream>
#include <iterator>

#include "client/engine/event_text.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/client_commands/command_fixture.h"

namespace longwire {
namespace {

using testing::HasSubstr;

TEST(SplitFirst, CutsAtSemicolonsOutsideQuotesAndBraces) {
  EXPECT_EQ(CommandTable::SplitFirst(" r ; k").first, "r");
  EXPECT_EQ(CommandTable::SplitFirst(" r ; k").second, "k");
  EXPECT_EQ(CommandTable::SplitFirst("bp x \"a;b\";k").first, "bp x \"a;b\"");
  EXPECT_EQ(CommandTable::SplitFirst(".if (1) {a;b};k").second, "k");
  EXPECT_EQ(CommandTable::SplitFirst("a\nb;c").second, "b;c");
}

TEST(SplitFirst, CommentsAreEmptyCommands) {
  EXPECT_EQ(CommandTable::SplitFirst("* all of it; k").first, "");
  EXPECT_EQ(CommandTable::SplitFirst("* all of it; k").second, "");
  EXPECT_EQ(CommandTable::SplitFirst("$$ text; k").second, "k");
  EXPECT_EQ(CommandTable::SplitFirst("$$<file; k").first, "$$<file");
  EXPECT_EQ(CommandTable::SplitFirst(";;").first, "");
}

TEST_F(CommandTest, ListsModulesWithOnePlan) {
  auto before = target_.counters().round_trips;
  EXPECT_EQ(Run("lm"),
            "start             end                 module name\n"
            "fffff800`10000000 fffff800`10046000   nt         (deferred)             \n"
            "fffff800`20000000 fffff800`20005000   mydrv      (deferred)             \n");
  EXPECT_EQ(target_.counters().round_trips - before, 1u);
  EXPECT_EQ(Run("lm1m m my*"), "mydrv\n");
  EXPECT_EQ(target_.counters().round_trips - before, 1u);
}

TEST_F(CommandTest, ACircleInTheModuleListEndsWithAWarning) {
  target_.Put(kListHead + 0x200, kListHead + 0x100, 8);
  EXPECT_THAT(Run("lm"), HasSubstr("mydrv"));
  EXPECT_THAT(notes_, HasSubstr("circle"));
}

TEST_F(CommandTest, AnUnreadableLinkGivesThePartBeforeIt) {
  target_.Put(kListHead + 0x100, 0x1234, 8);
  EXPECT_THAT(Run("lm"), HasSubstr("nt "));
  EXPECT_THAT(notes_, HasSubstr("cannot be read to its end"));
}

TEST_F(CommandTest, BreakpointsKeepTheirIdsAndReachTheTarget) {
  Run("bp mydrv+1000; ba w4 mydrv+2000; bp7 mydrv+3000 5 \".echo hit; g\"; bd 0");
  EXPECT_EQ(error_, "");
  EXPECT_EQ(Run("bl"),
            " 0 d fffff800`20001000     0001 (0001) mydrv+0x1000\n"
            " 1 e fffff800`20002000 w 4     0001 (0001) mydrv+0x2000\n"
            " 7 e fffff800`20003000     0005 (0005) mydrv+0x3000 \".echo hit; g\"\n");
  EXPECT_EQ(target_.breakpoints().size(), 2u);
  Run("bc *");
  EXPECT_EQ(Run("bl"), "");
  EXPECT_TRUE(target_.breakpoints().empty());
}

TEST_F(CommandTest, AnUnknownNameWaitsForItsModule) {
  EXPECT_THAT(Run("bu late!Entry"), HasSubstr("adding deferred bp"));
  EXPECT_THAT(Run("bl"), HasSubstr(" 0 eu             0001 (0001) (late!Entry)"));
  EXPECT_TRUE(target_.breakpoints().empty());
}

TEST_F(CommandTest, ABreakpointThatWaitsAsksForModuleStopsAndIsPlantedAtTheLoad) {
  Run("bu late!");
  EXPECT_THAT(target_.calls(), testing::Contains("Configure module on"));
  rpc::StopEvent load = ModuleStop(2, kLate, false);
  AddEntry(kListHead + 0x200, kDriver, 0x5000, "mydrv.sys", kListHead + 0x300);
  AddEntry(kListHead + 0x300, kLate, 0x4000, "late.sys", kListHead);
  target_.QueueEvent(load);
  Run("g");
  PassStops();
  ASSERT_EQ(target_.breakpoints().size(), 1u);
  EXPECT_EQ(target_.breakpoints().begin()->second.address, kLate);
  EXPECT_EQ(target_.resumes().size(), 2u) << "nobody asked to see the load";
}

TEST_F(CommandTest, ABreakpointByNameFollowsItsModuleToAnotherBase) {
  Run("bu mydrv!");
  ASSERT_EQ(target_.breakpoints().size(), 1u);
  Run("g");
  target_.QueueEvent(ModuleStop(2, kDriver, true));
  PassStops();
  EXPECT_TRUE(target_.breakpoints().empty());
  AddEntry(kListHead + 0x200, kLate, 0x5000, "mydrv.sys", kListHead);
  target_.QueueEvent(ModuleStop(3, kLate, false));
  PassStops();
  ASSERT_EQ(target_.breakpoints().size(), 1u);
  EXPECT_EQ(target_.breakpoints().begin()->second.address, kLate);
  Halt(4);
  Run("bc 0");
  EXPECT_EQ(target_.calls().back(), "Configure module off");
}

TEST_F(CommandTest, ARestartKeepsBreakpointsByNameOnly) {
  Run("bp mydrv+1000; bu mydrv!");
  rpc::StopEvent stop;
  stop.restarted = true;
  session_->OnEvent(stop);
  EXPECT_EQ(Run("bl"), " 1 eu             0001 (0001) (mydrv!)\n");
}

TEST_F(CommandTest, AStepOverACallGoesOnPastAModuleLoad) {
  Run("sxe -c \".echo x\" ud; bu late!");
  std::vector<std::byte> context(0x4D0);
  const std::uint64_t code = kDriver + 0x1000;
  for (unsigned i = 0; i < 8; ++i) context[0xF8 + i] = std::byte(code >> (8 * i));
  Halt(1, context, code);
  target_.Put(code, 0x00000000E8, 5);  // call to the next instruction
  target_.QueueEvent(ModuleStop(2, kLate, false));
  rpc::StopEvent end;
  end.stop_counter = 3;
  end.program_counter = code + 5;
  end.exception.code = 0x80000003;
  end.context.assign(0x4D0, std::byte{0});
  target_.QueueEvent(end);
  Run("p");
  EXPECT_EQ(error_, "");
  ASSERT_EQ(target_.resumes().size(), 2u);
  EXPECT_THAT(target_.resumes()[1].temporary_breakpoints, testing::ElementsAre(code + 5));
}

TEST_F(CommandTest, RefusesBadDataBreakpoints) {
  Run("ba w3 mydrv");
  EXPECT_THAT(error_, HasSubstr("1, 2, 4"));
  Run("ba w4 mydrv+1");
  EXPECT_THAT(error_, HasSubstr("multiple"));
  Run("ba e4 mydrv");
  EXPECT_THAT(error_, HasSubstr("size 1"));
}

TEST_F(CommandTest, PassCountsResumeSilentlyUntilTheLast) {
  Run("bp mydrv+1000 2");
  rpc::StopEvent hit;
  hit.stop_counter = 2;
  hit.program_counter = kDriver + 0x1000;
  hit.exception.code = 0x80000003;
  hit.breakpoints = {100};
  hit.context.assign(0x4D0, std::byte{0});
  target_.QueueEvent(hit);
  hit.stop_counter = 3;
  target_.QueueEvent(hit);
  Run("g");
  EXPECT_EQ(flow_, CommandFlow::kRunning);
  Report report({});
  auto stop = WaitForPrompt(*session_, {}, std::nullopt, report);
  ASSERT_TRUE(stop && *stop);
  EXPECT_EQ((*stop)->stop_counter, 3u);
  EXPECT_EQ(target_.resumes().size(), 2u);
  EXPECT_THAT(report.text(), testing::StartsWith("Breakpoint 0 hit\n"));
}

TEST_F(CommandTest, WhatFollowsAResumeIsLeftForTheNextStop) {
  Run("g; k; q");
  EXPECT_EQ(pending_, "k; q");
}

TEST_F(CommandTest, CommandsThatNeedAHaltAreRefusedWhileTheTargetRuns) {
  target_.Run();
  Run("bp 1000");
  EXPECT_THAT(error_, HasSubstr("running"));
}

TEST_F(CommandTest, ErrorsCarryTheCommandAndDoNotEndTheLine) {
  EXPECT_EQ(Run("nonsense; .echo still here"), "still here\n");
  EXPECT_THAT(error_, HasSubstr("^ Syntax error in 'nonsense'"));
  Run("vertarget x");
  EXPECT_THAT(error_, HasSubstr("^ Extra character error in 'x'"));
  Run(std::string(5000, 'a'));
  EXPECT_THAT(error_, HasSubstr("4096"));
}

TEST_F(CommandTest, AProcessorIsSelectedByItsNumber) {
  Run("~1s");
  EXPECT_EQ(session_->processor(), 1u);
  Run("~5");
  EXPECT_THAT(error_, HasSubstr("there are 2 processors"));
}

TEST_F(CommandTest, ProcessorsAreListedAndChosenInOtherWays) {
  EXPECT_EQ(Run("~"), ". 0\n  1\n");
  EXPECT_EQ(Run("~1 s; ~*"), "# 0\n. 1\n");
  EXPECT_EQ(session_->processor(), 1u);
  Run("~#s");
  EXPECT_EQ(session_->processor(), 0u);
  Run("~.");
  EXPECT_EQ(error_, "");
  EXPECT_EQ(session_->processor(), 0u);
  Run("~x");
  EXPECT_THAT(error_, HasSubstr("Syntax error in '~x'"));
}

TEST_F(CommandTest, ACommandRunsOnOneProcessorOrOnAll) {
  std::vector<std::byte> other(0x4D0);
  other[0x78] = std::byte{7};  // Rax
  target_.SetContext(1, other);
  EXPECT_EQ(Run("~1 r rax"), "rax=0000000000000007\n");
  EXPECT_EQ(Run("1r rax"), "rax=0000000000000007\n");
  EXPECT_EQ(Run("~*r rax"), ". 0\nrax=0000000000000000\n  1\nrax=0000000000000007\n");
  EXPECT_EQ(Run("~* e r rax"), "rax=0000000000000000\nrax=0000000000000007\n");
  EXPECT_EQ(Run("~1 e r rax"), "rax=0000000000000007\n");
  EXPECT_EQ(session_->processor(), 0u);
  Run("~1 nonsense");
  EXPECT_THAT(error_, HasSubstr("Syntax error"));
  EXPECT_EQ(session_->processor(), 0u);
}

TEST_F(CommandTest, AStopOnTheWayLeavesItsProcessorSelected) {
  rpc::StopEvent step;
  step.stop_counter = 2;
  step.processor = 1;
  step.processors = 2;
  step.exception.code = 0x80000004;
  step.context.assign(0x4D0, std::byte{0});
  target_.SetContext(1, step.context);
  target_.QueueEvent(step);
  Run("~1 t");
  EXPECT_EQ(session_->processor(), 1u);
}

TEST_F(CommandTest, FiltersKeepTheirCommandsAndHowTheExceptionGoesBack) {
  EXPECT_THAT(Run("sx"), HasSubstr("av   - Access violation - break - not handled\n"));
  Run("sxd -c \".echo one\" -c2 \".echo two\" av; sxe -h av");
  EXPECT_EQ(error_, "");
  EXPECT_THAT(Run("sx"), HasSubstr("av   - Access violation - second-chance break - handled\n"
                                   "       Command: \".echo one\"\n"
                                   "       Second command: \".echo two\"\n"));
  Run("sxi -h av");
  EXPECT_THAT(Run("sx"), HasSubstr("av   - Access violation - second-chance break - not handled\n"));
  Run("sxe -h ld");
  EXPECT_THAT(error_, HasSubstr("-h is for exceptions"));
  Run("sxe -c2 k av");
  EXPECT_THAT(error_, HasSubstr("Syntax error in '-c2 k av'"));
}

TEST_F(CommandTest, CommandsOfAFilterBelongToTheirChance) {
  Run("sxe -c \".echo one\" -c2 \".echo two\" av");
  rpc::StopEvent fault;
  fault.stop_counter = 2;
  fault.exception.code = 0xC0000005;
  fault.context.assign(0x4D0, std::byte{0});
  for (const bool first : {true, false}) {
    fault.exception.first_chance = first;
    target_.Halt(fault);
    session_->OnEvent(fault);
    Report report({});
    EXPECT_EQ(ReportStop(*session_, fault, {}, report).commands, first ? ".echo one" : ".echo two");
  }
}

TEST_F(CommandTest, ResumingFollowsTheHandlingOfTheFilter) {
  rpc::StopEvent fault;
  fault.stop_counter = 2;
  fault.exception.code = 0xC0000005;
  fault.context.assign(0x4D0, std::byte{0});
  target_.Halt(fault);
  session_->OnEvent(fault);
  Run("sxe -h av; g");
  target_.Halt(fault);
  Run("gn");
  target_.Halt(fault);
  Run("sxd -h av; g");
  target_.Halt(fault);
  Run("gh");
  ASSERT_EQ(target_.resumes().size(), 4u);
  EXPECT_TRUE(target_.resumes()[0].handled);
  EXPECT_FALSE(target_.resumes()[1].handled);
  EXPECT_FALSE(target_.resumes()[2].handled);
  EXPECT_TRUE(target_.resumes()[3].handled);
}

TEST_F(CommandTest, ModuleFiltersTellTheServer) {
  Run("sxe ld:mydrv");
  EXPECT_THAT(target_.calls(), testing::Contains("Configure module on"));
  Run("sxi ld");
  EXPECT_THAT(target_.calls(), testing::Contains("Configure module off"));
}

TEST_F(CommandTest, WhatWasAskedForIsAskedAgainOfWhoForgotItAlsoWhileTheTargetRuns) {
  Run("bu late!Entry");
  session_->options().reboot_break = RebootBreak::kInitialization;
  const std::size_t before = target_.calls().size();
  target_.Run();
  target_.Renew();
  rpc::DriverChanged back;
  back.self = true;
  session_->OnEvent(back);
  const std::vector<std::string> since(target_.calls().begin() + before, target_.calls().end());
  EXPECT_EQ(since, (std::vector<std::string>{"Configure reboot on", "Configure module on"}));
  session_->OnEvent(back);
  EXPECT_EQ(target_.calls().size(), before + 2) << "once";
}

TEST(EscapeTargetText, MakesControlCharactersVisible) {
  EXPECT_EQ(EscapeTargetText("a\x1b[31mb\r\n\tc\x07"), "a\\x1b[31mb\n\tc\\x07");
  EXPECT_EQ(EscapeTargetText("\xC2\x9B"
                             "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(EscapeTargetText("\x9B"
                             "31m"),
            "\\x9b31m")
      << "the second half of a control that came in two pieces";
  EXPECT_EQ(EscapeTargetText("gr\xC3\xBC\xC3\x9F\xE2\x82\xAC"), "gr\xC3\xBC\xC3\x9F\xE2\x82\xAC");
  EXPECT_EQ(EscapeTargetText("\xC0\x9B\xE2\x82"), "\\xc0\\x9b\\xe2\\x82") << "overlong, cut off";
}

TEST_F(CommandTest, ValuesAreAskedForUntilAnEmptyLine) {
  constexpr std::uint64_t kPlace = 0x10000;
  const std::byte before[4] = {std::byte{0x41}, std::byte{1}, std::byte{2}, std::byte{3}};
  target_.Map(kPlace, before);
  EXPECT_THAT((Run("eb 10000"), error_), HasSubstr("values are missing")) << "nobody to ask";
  std::vector<std::string> prompts, answers{"42", " ", "7 8", ""};
  session_->set_line_source([&](std::string_view prompt) -> std::optional<std::string> {
    prompts.emplace_back(prompt);
    return answers.size() < prompts.size() ? std::nullopt : std::optional(answers[prompts.size() - 1]);
  });
  Run("eb 10000");
  EXPECT_EQ(error_, "");
  ASSERT_EQ(prompts.size(), 4u);
  EXPECT_EQ(prompts[0], "00000000`00010000 41 'A' ");
  EXPECT_EQ(prompts[2], "00000000`00010002 02 ");
  std::byte after[4];
  ASSERT_TRUE(target_.Read(AddressSpace::Virtual(), kPlace, after));
  EXPECT_THAT(after, testing::ElementsAre(std::byte{0x42}, std::byte{1}, std::byte{7}, std::byte{8}));
}

TEST_F(CommandTest, ARegisterWithoutAValueIsAskedFor) {
  EXPECT_THAT((Run("r $t0="), error_), HasSubstr("Numeric expression missing")) << "nobody to ask";
  std::string answer = "5";
  session_->set_line_source([&](std::string_view) { return std::optional(answer); });
  Run("r $t0=");
  EXPECT_EQ(*session_->Evaluate("@$t0"), 5u);
  answer = "";
  Run("r $t0=");
  EXPECT_EQ(*session_->Evaluate("@$t0"), 5u) << "an empty answer changes nothing";
}

TEST_F(CommandTest, SourcePathIsKeptAndExtended) {
  EXPECT_EQ(Run(".srcpath"), "Source search path is: *** Invalid ***\n");
  Run(".srcpath /one");
  EXPECT_EQ(Run(".srcpath+ /two"), "Source search path is: /one;/two\n");
}

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(CommandTest, LogIsOpenedAppendedToAndClosed) {
  TemporaryDirectory directory;
  const std::string path = directory.File("a.log");
  EXPECT_EQ(Run(".logfile"), "No log file open\n");
  EXPECT_EQ(Run(".logopen " + path), "Opened log file '" + path + "'\n");
  session_->log().Write("one\n");
  EXPECT_EQ(Run(".logfile"), "Log '" + path + "' open\n");
  EXPECT_EQ(Run(".logclose"), "Closing open log file " + path + "\n");
  session_->log().Write("lost\n");
  Run(".logappend " + path);
  session_->log().Write("two\n");
  EXPECT_EQ(FileText(path), "one\ntwo\n");
  Run(".logopen /u " + directory.File("wide.log"));
  session_->log().Write("\xC3\xA9\xF0\x9F\x98\x80\xFF");
  EXPECT_EQ(FileText(directory.File("wide.log")), std::string("\xFF\xFE\xE9\0\x3D\xD8\x00\xDE\xFD\xFF", 10));
  Run(".logopen /t " + directory.File("marked.log"));
  EXPECT_THAT(session_->log().path(), testing::MatchesRegex(".*/marked_[0-9a-f]+_[-0-9]+_[-0-9]+\\.log"));
  Run(".logopen " + directory.path());
  EXPECT_THAT(error_, HasSubstr("could not be opened"));
  EXPECT_EQ(session_->log().path(), "");
  EXPECT_THAT((Run(".logclose"), error_), HasSubstr("No log file open"));
}

}  // namespace
}  // namespace longwire
