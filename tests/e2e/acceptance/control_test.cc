#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/acceptance/scene.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;

// Values of the mailbox, tests/target/drivers/demo.h.
constexpr char kPrint[] = "ed DEMO!g_CommandArgument 7;ed DEMO!g_Command 1;";
constexpr char kPrompt[] = "ed DEMO!g_Command 2";
constexpr char kBreak[] = "ed DEMO!g_Command 3;";
constexpr char kBugCheck[] = "ed DEMO!g_CommandArgument d1;ed DEMO!g_Command 4;";
constexpr char kLoad[] = "ed DEMO!g_Command 7;";
constexpr char kUnload[] = "ed DEMO!g_Command 8;";

class AcceptanceControl : public VariantScene {
 protected:
  void SetUp() override {
    StartServer();
    TestMachineOptions options;
    options.report_symbols = reports_symbols_;
    machine_ = StartVariant(options);
    ASSERT_TRUE(machine_);
  }
  std::string Run(const std::string& commands, std::vector<std::string> more = {"-bonc"}, int exit_code = 0) {
    return Output(*machine_, Named(commands), std::move(more), exit_code);
  }

  bool reports_symbols_ = false;
  std::unique_ptr<TestMachine> machine_;
};

TEST_P(AcceptanceControl, CodeBreakpointsAreListedDisabledEnabledAndCleared) {
  const std::string text =
      Run("bp DEMO!DemoLeaf;bl;g;k 3;bd 0;bl;bp DEMO!DemoRunBatch;g;be 0;g;bc *;.echo <;bl;.echo >;q");
  EXPECT_THAT(text, HasSubstr(Named("0001 (0001) DEMO!DemoLeaf")));
  EXPECT_THAT(text, HasSubstr(Named("Breakpoint 0 hit\nDEMO!DemoLeaf:\n")));
  EXPECT_THAT(text, HasSubstr(Named("DEMO!DemoTransform+")));
  EXPECT_THAT(text, HasSubstr(" 0 d "));
  // Disabled it did not stop the target on the way to the other one; enabled it is next again.
  EXPECT_THAT(text, HasSubstr(Named("Breakpoint 1 hit\nDEMO!DemoRunBatch:\n")));
  EXPECT_GT(text.rfind("Breakpoint 0 hit"), text.find("Breakpoint 1 hit"));
  EXPECT_THAT(text, HasSubstr("<\n>\n"));
}

TEST_P(AcceptanceControl, DataBreakpointsPrintsAndCommandsAtAHit) {
  EXPECT_THAT(
      Run(std::string("ba w4 DEMO!g_CommandsDone;") + kPrint + "g;u @rip L1;bc *;qd"),
      AllOf(HasSubstr("demo: print 7\n"), HasSubstr(Named("Breakpoint 0 hit\nDEMO!DemoServeCommand+"))));
  // The commands of a hit run, and gc in them goes on until something else stops the target.
  // The commands of a hit run, and gc among them goes on to the next.
  const auto kd = AttachedKd(*machine_);
  kd->Write(Named("bp DEMO!DemoRunBatch \".echo batch; r rip; gc\"\ng\n"));
  EXPECT_TRUE(kd->WaitFor("Breakpoint 0 hit")) << kd->both();
  EXPECT_TRUE(kd->WaitFor("\nbatch\nrip=")) << kd->both();
  EXPECT_TRUE(kd->WaitFor("\nbatch\nrip=")) << kd->both();
  kd->Signal(SIGINT);
  EXPECT_TRUE(kd->WaitFor("kd> ", 5s)) << kd->both();
  kd->Write("bc *\nqd\n");
  EXPECT_EQ(kd->Wait(), 0) << kd->both();
}

TEST_P(AcceptanceControl, StepsOverCallsIntoThemAndOut) {
  const std::string text =
      Run("bp DEMO!DemoRunBatch;g;bc *;pc;.echo over;p;.echo in;tc;t;.echo up;gu;.echo end;r rip;q");
  const auto part = [&](const std::string& from, const std::string& to) {
    const std::size_t begin = text.find(from);
    return text.substr(begin, text.find(to) - begin);
  };
  EXPECT_THAT(part("over\n", "in\n"), HasSubstr(Named("DEMO!DemoRunBatch+"))) << "p went over the call";
  EXPECT_THAT(part("in\n", "up\n"), HasSubstr("call"));
  EXPECT_THAT(part("in\n", "up\n"), Not(HasSubstr("rror")));
  EXPECT_THAT(part("up\n", "end\n"), HasSubstr(Named("DEMO!")));
  EXPECT_THAT(text, HasSubstr("rip="));
}

TEST_P(AcceptanceControl, ProcessorsProcessesAndThreads) {
  const std::string text = Run("~1s;.echo one;k;~0s;.echo zero;r rip;q");
  EXPECT_THAT(text.substr(text.find("one\n")), HasSubstr("nt!KiParkProcessor+"));
  EXPECT_THAT(text.substr(text.find("zero\n")), Not(HasSubstr("rror")));

  const std::string list = Run("!process 0 2 " + names().process + ";!process 0 0 " + names().last + ";q");
  const auto address = [&](const std::string& key, std::size_t from) {
    const std::size_t at = list.find(key, from);
    return at == std::string::npos ? std::string("0") : list.substr(at + key.size(), 16);
  };
  const std::string first = address("PROCESS ", 0), second = address("PROCESS ", list.rfind("PROCESS ")),
                    thread = address("THREAD ", 0);
  ASSERT_NE(first, second) << list;
  // The same user address in both; its page begins with the name of its process.
  const std::string page = names().variant == 'a' ? "0x7ff610000000" : "0x7ff7a0000000";
  const std::string memory = Run(".process /p 0x" + first + ";da " + page + ";.process /p 0x" + second +
                                 ";da " + page + ";.process /p 0;.thread 0x" + thread + ";k;.thread;q");
  EXPECT_THAT(memory, HasSubstr("Implicit process is now " + first.substr(0, 8) + "`" + first.substr(8)));
  EXPECT_THAT(memory, HasSubstr("user page of process"));
  EXPECT_LT(memory.find("user page of process"), memory.rfind("user page of process"));
  EXPECT_THAT(memory, HasSubstr("Implicit thread is now "));
  EXPECT_THAT(memory, HasSubstr("nt!KeWaitForSingleObject+"));
  EXPECT_THAT(memory, HasSubstr("nt!NtWaitForSingleObject+"));
}

TEST_P(AcceptanceControl, ModulesThatComeAndGoStopTheTargetWhenAsked) {
  const std::string text =
      Run(std::string("sxe ld:LATE;") + kLoad + "g;.echo loaded;lm m LATE;sxd ld;sxe ud;" + kUnload +
          "g;.echo unloaded;lm;sxd ud;q");
  EXPECT_THAT(text, HasSubstr("ModLoad: "));
  EXPECT_THAT(text.substr(text.find("loaded\n")), HasSubstr(names().late + " "));
  EXPECT_THAT(text, HasSubstr("Unload module "));
}

TEST_P(AcceptanceControl, APromptOfTheTargetIsAnsweredFromTheInput) {
  const auto kd = AttachedKd(*machine_);
  kd->Write(Named(kPrompt) + "\ng\n");
  ASSERT_TRUE(kd->WaitFor("Demo driver asks (boi)? ")) << kd->both();
  ASSERT_TRUE(kd->WaitFor("Input> ")) << kd->both();
  kd->Write("yes please\n");
  EXPECT_TRUE(kd->WaitFor("demo: answer of 10 characters: yes please\n")) << kd->both();
  kd->CloseInput();
  kd->Signal(SIGINT);
  EXPECT_EQ(kd->Wait(), 0) << kd->both();
  // Without any input the answer is empty, and the target goes on.
  EXPECT_THAT(Run(std::string(kPrompt) + ";g;q", {"-bonc", "--wait", "5"}, 6),
              HasSubstr("demo: answer of 0 characters"));
}

TEST_P(AcceptanceControl, ABugCheckIsShown) {
  const std::string text = Run(std::string(kBugCheck) + "g;.bugcheck;k;q");
  EXPECT_THAT(text, HasSubstr("*** Fatal System Error: 0x000000d1"));
  EXPECT_THAT(text, HasSubstr("A fatal system error has occurred."));
  EXPECT_THAT(text, HasSubstr("BugCheck D1, {1, 2, 3, 4}"));
  EXPECT_THAT(text, HasSubstr("Bugcheck code 000000D1\nArguments 00000000`00000001"));
  EXPECT_THAT(text, HasSubstr("nt!KeBugCheckEx+"));
  EXPECT_THAT(text, HasSubstr(Named("DEMO!DemoServeCommand+")));
}

TEST_P(AcceptanceControl, CtrlCStopsARunningTargetAndALongCommand) {
  const auto kd = AttachedKd(*machine_);
  kd->Write(Named(std::string(kPrint) + "g\n"));
  ASSERT_TRUE(kd->WaitFor("demo: print 7\n")) << kd->both();
  kd->Signal(SIGINT);
  EXPECT_TRUE(kd->WaitFor("nt!DbgBreakPointWithStatus:", 5s)) << kd->both();
  kd->Write("s -b 0xffff800000000000 L?4000000 de ad be ef 99 88 77 66\n");
  ASSERT_TRUE(kd->WaitFor("77 66\n")) << kd->both();
  kd->Signal(SIGINT);
  kd->Write("r rip\n");
  EXPECT_TRUE(kd->WaitFor("rip=", 5s)) << "a search of 64 MiB takes longer than that\n" << kd->both();
  kd->Write("q\n");
  EXPECT_EQ(kd->Wait(), 0);
}

TEST_P(AcceptanceControl, ScriptsRestartAndWhatIsLeftToWaitFor) {
  EXPECT_THAT(Run("q", {"--wait", "4"}, 6), AllOf(HasSubstr("did not stop within 4 s"), HasSubstr("-bonc")));
  TemporaryDirectory directory;
  directory.Write("script.txt",
                  Named("bp DEMO!DemoLeaf\ng\n.echo scripted\nbc *\n.restart\n.echo again\nr rip\nqd\n"));
  auto kd = Kd(*machine_, "", {"-bonc", "-cf", directory.File("script.txt")});
  EXPECT_EQ(kd->Wait(), 0) << kd->both();
  EXPECT_THAT(kd->out(),
              AllOf(HasSubstr("Breakpoint 0 hit"), HasSubstr("scripted\n"), HasSubstr("again\nrip=")));
}

TEST_P(AcceptanceControl, EveryLineOfJsonIsAnObject) {
  auto kd = Kd(*machine_, "lm;r;k;!process 0 0;bogus;q", {"-bonc", "--json"});
  EXPECT_EQ(kd->Wait(), 0) << kd->both();
  std::istringstream lines(kd->out());
  std::map<std::string, nlohmann::json> results;
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << line;
    if (parsed.contains("command")) results[parsed["command"]] = parsed;
  }
  for (const char* command : {"lm", "r", "k", "!process 0 0"}) {
    ASSERT_TRUE(results.contains(command)) << command;
    EXPECT_TRUE(results[command]["error"].is_null()) << results[command];
  }
  EXPECT_EQ(results["lm"]["rows"].size(), 4u);
  EXPECT_EQ(results["lm"]["rows"][0]["name"], "nt");
  EXPECT_GT(results["k"]["rows"].size(), 3u);
  EXPECT_FALSE(results["bogus"]["error"].is_null());
}

class AcceptanceReboot : public AcceptanceControl {
 protected:
  AcceptanceReboot() { reports_symbols_ = true; }
};

TEST_P(AcceptanceReboot, TheTargetStopsAgainWhenItComesBack) {
  const std::string text =
      Run("bp nt!KeBugCheckEx;.reboot;.echo back;bl;.echo <;r rip;q", {"-b", "--wait", "20"});
  EXPECT_THAT(text, HasSubstr("back\n<\nrip=")) << "its breakpoints are gone with it";
}

const auto kVariantName = [](const auto& info) { return std::string(1, info.param->variant); };
INSTANTIATE_TEST_SUITE_P(Kernels, AcceptanceControl, testing::Values(&kVariantA, &kVariantB), kVariantName);
INSTANTIATE_TEST_SUITE_P(Kernels, AcceptanceReboot, testing::Values(&kVariantA, &kVariantB), kVariantName);

}  // namespace
}  // namespace longwire::test
