#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

struct Outcome {
  std::string out, error;
  int exit_code = -1;
};

std::string Quoted(const std::string& text) { return "'" + text + "'"; }

std::string ReadAll(std::FILE* file) {
  std::string text;
  char buffer[4096];
  for (std::size_t got; (got = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, got);
  return text;
}

/// The real kd, without a terminal, killed after 60 s.
Outcome RunKd(const std::vector<std::string>& arguments, const std::string& input = "") {
  Outcome outcome;
  std::string errors = testing::TempDir() + "/kd_session_errors";
  std::string command = "printf '" + input + "' | timeout -s KILL 60 " + Quoted(KD_PATH);
  for (const std::string& argument : arguments) command += " " + Quoted(argument);
  std::FILE* pipe = ::popen((command + " 2>" + Quoted(errors)).c_str(), "r");
  if (!pipe) return outcome;
  outcome.out = ReadAll(pipe);
  int status = ::pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (std::FILE* file = std::fopen(errors.c_str(), "r")) {
    outcome.error = ReadAll(file);
    std::fclose(file);
  }
  return outcome;
}

class KdSession : public testing::Test {
 protected:
  void SetUp() override {
    std::string error;
    machine_ = TestMachine::Start({}, &error);
    ASSERT_TRUE(machine_) << error;
  }
  std::vector<std::string> Arguments(std::vector<std::string> more) const {
    more.insert(more.end(), {"-y", machine_->symbol_directory(), "-k",
                             "com:pipe,port=" + machine_->socket_path() + ",resets=0,reconnect"});
    return more;
  }
  Outcome Run(const std::string& commands, std::vector<std::string> more = {"-bonc", "-kqm"},
              const std::string& input = "") {
    std::vector<std::string> arguments = Arguments(std::move(more));
    if (!commands.empty()) arguments.insert(arguments.end(), {"-c", commands});
    return RunKd(arguments, input);
  }
  std::unique_ptr<TestMachine> machine_;
};

TEST_F(KdSession, BreaksInListsModulesAndQuits) {
  Outcome outcome = Run("lm;q");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_THAT(outcome.out, HasSubstr("Connected to Remote KD:"));
  EXPECT_THAT(outcome.out, HasSubstr("Kernel Version 19041"));
  EXPECT_THAT(outcome.out, HasSubstr("Break instruction exception - code 80000003 (first chance)\n"
                                     "nt!DbgBreakPointWithStatus:\n"));
  EXPECT_THAT(outcome.out, HasSubstr("nt         (private pdb symbols)"));
  EXPECT_THAT(outcome.out, HasSubstr("lwdemo     (deferred)"));
}

TEST_F(KdSession, StepsAndReturnsToTheCaller) {
  Outcome outcome = Run("t;gu;q");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_THAT(outcome.out, HasSubstr("nt!DbgBreakPointWithStatus+0x1:\n"));
  EXPECT_THAT(outcome.out, HasSubstr("nt!KdCheckBreakIn+"));
}

TEST_F(KdSession, TheOtherProcessorStepsAndTheMachineRunsOn) {
  Outcome outcome = Run("~1s;t;.echo stepped;t 10;~;dq nt!KiParkedTurns L1;bp nt!KdCheckBreakIn;g;~;bc *;qd");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.error, "");
  const std::size_t after = outcome.out.find("stepped\n");
  ASSERT_NE(after, std::string::npos) << outcome.out;
  EXPECT_THAT(outcome.out.substr(0, after), HasSubstr("nt!KiParkProcessor+"));
  EXPECT_THAT(outcome.out.substr(after), testing::ContainsRegex("`0000000[1-9]\n")) << "it really ran";
  EXPECT_THAT(outcome.out.substr(after), HasSubstr("Breakpoint 0 hit\nnt!KdCheckBreakIn:\n"));
}

TEST_F(KdSession, ControlKeysOfATerminal) {
  ChildProcess kd(Arguments({KD_PATH, "-bonc", "-kqm"}), ChildProcess::Input::kTerminal);
  ASSERT_TRUE(kd.WaitFor("kd> ")) << kd.both();
  kd.Write("\x04\n");
  EXPECT_TRUE(kd.WaitFor("Packet trace ON.")) << kd.both();
  kd.Write("!db 1000 L4\n");
  EXPECT_TRUE(kd.WaitFor("KD> manipulate 0000313d")) << kd.both();
  kd.Write("\x04\n");
  EXPECT_TRUE(kd.WaitFor("Packet trace OFF.")) << kd.both();
  kd.Write("\x16\n");
  EXPECT_TRUE(kd.WaitFor("Verbose mode ON.")) << kd.both();
  kd.Write("\x17\n");
  EXPECT_TRUE(kd.WaitFor("kd ")) << kd.both();
  kd.Write("bp nt!KdCheckBreakIn; g; bc *; qd\n");
  EXPECT_TRUE(kd.WaitFor("Breakpoint 0 hit")) << kd.both();
  EXPECT_EQ(kd.Wait(), 0) << kd.both();
}

TEST_F(KdSession, WhatFollowsAResumeRunsAtTheBreakpoint) {
  Outcome outcome = Run("bp nt!KdCheckBreakIn;g;bl;bc *;qd");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_THAT(outcome.out, HasSubstr("Breakpoint 0 hit\nnt!KdCheckBreakIn:\n"));
  EXPECT_THAT(outcome.out, HasSubstr("0001 (0001) nt!KdCheckBreakIn"));
}

TEST_F(KdSession, ABreakpointByNameIsHitAtTheEntryOfADriverThatLoadsLater) {
  constexpr const char* kLoadDriver = "7";  // DemoLoadDriver of tests/target/drivers/demo.h
  Outcome outcome =
      Run(std::string("bu lwlate!DriverEntry;ed lwdemo!g_Command ") + kLoadDriver + ";g;bc *;qd");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_THAT(outcome.out, HasSubstr("adding deferred bp"));
  EXPECT_THAT(outcome.out, HasSubstr("Breakpoint 0 hit\nlwlate!DriverEntry:\n"));
}

TEST_F(KdSession, ARunningTargetIsWaitedForNoLongerThanAsked) {
  Outcome outcome = Run("q", {"--wait", "1"});
  EXPECT_EQ(outcome.exit_code, 6);
  EXPECT_THAT(outcome.error, HasSubstr("-bonc"));
}

TEST_F(KdSession, CommandsFromAPipeAndTheEndOfInputEndTheSession) {
  Outcome outcome = Run("", {"-bonc", "-kqm"}, ".echo one; .echo two\\nbogus\\n");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("one\ntwo\n"));
  EXPECT_THAT(outcome.error, HasSubstr("^ Syntax error in 'bogus'"));
}

TEST_F(KdSession, JsonHasOneObjectForEachCommand) {
  Outcome outcome = Run("lm m nt; bogus; q", {"-bonc", "--json"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out,
              HasSubstr("{\"command\":\"lm m nt\",\"rows\":[{\"kind\":\"module\",\"name\":\"nt\""));
  EXPECT_THAT(outcome.out, HasSubstr("\"error\":\"^ Syntax error in 'bogus'\"}"));
}

TEST_F(KdSession, ModuleListNeedsOneRoundTrip) {
  Outcome outcome = Run(".linkinfo;.reload;.linkinfo;q", {"-bonc", "--json"});
  std::vector<int> trips;
  const std::string key = "\"round_trips\":";
  for (std::size_t at = outcome.out.find(key); at != std::string::npos; at = outcome.out.find(key, at + 1)) {
    trips.push_back(std::stoi(outcome.out.substr(at + key.size())));
  }
  ASSERT_EQ(trips.size(), 2u) << outcome.out << outcome.error;
  // The second .linkinfo counts its own request too.
  EXPECT_EQ(trips[1] - trips[0], 2);
}

TEST_F(KdSession, ConditionsTimesAndStretchesOfCode) {
  Outcome outcome =
      Run("bp /w \"@rsp == 0\" nt!KdCheckBreakIn;bs 0 \".echo never\";bu1 /w \"@rsp != 0\" nt!KdCheckBreakIn "
          "\".echo met\";"
          "br 1 7;g;bl;bc *;.time;pt;.cache 0;db nt L2;.cache;.linkinfo;qd");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(outcome.out, HasSubstr("Breakpoint 7 hit\nnt!KdCheckBreakIn:\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nmet\n"));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("never\n")));
  EXPECT_THAT(outcome.out, HasSubstr("System Uptime: 0 days 0:"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("c3 +ret"));
  EXPECT_THAT(outcome.out, HasSubstr("bytes (0x0 KB) (disabled)"));
  EXPECT_THAT(outcome.out, HasSubstr("State: halted"));
}

TEST_F(KdSession, RegistersOfTheMachineAndItsMemory) {
  Outcome outcome = Run("rdmsr c0000080;!vm;uf /c nt!KdCheckBreakIn;!db 1000 L4;qd");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(outcome.out, testing::ContainsRegex("msr\\[c0000080\\] = 00000000`0000[0-9a-f]d0"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("Physical Memory: +[0-9]+ \\( +[0-9]+ Kb\\)"));
  EXPECT_THAT(outcome.out, HasSubstr("    call to nt!"));
}

TEST(KdErrors, AnUnreachableServerAndAMissingDeviceHaveTheirExitCodes) {
  EXPECT_EQ(RunKd({"-k", "kdsrv:server=@{tcp:server=127.0.0.1,port=1},trans=@{com:port=com1}"}).exit_code, 4);
  EXPECT_EQ(RunKd({"-k", "com:port=/dev/does-not-exist"}).exit_code, 6);
  EXPECT_EQ(RunKd({"-k", "nonsense"}).exit_code, 2);
}

}  // namespace
}  // namespace longwire::test
