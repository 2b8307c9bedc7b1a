#include <gmock/gmock.h>

#include <cstdio>
#include <map>
#include <regex>

#include "tests/e2e/passthrough/offered_link.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Hex(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

/// The real gdb at the endpoint of kdsrv, in front of a machine that speaks nothing but KD.
class Gdb : public OfferedLink {
 protected:
  /// Waits until no breakpoint of ours is where `address` is: QEMU is asked, no debugger.
  bool IsClean(std::uint64_t address, std::uint8_t original) const {
    for (int i = 0; i < 600; ++i) {
      const auto bytes = machine_->Memory(address, 1);
      if (!bytes.empty() && bytes[0] == original) return true;
      ::usleep(50'000);
    }
    return false;
  }
  bool LinkIsFree() { return server_->WaitFor("given back by gdb@", kLimit); }
};

TEST_F(Gdb, SeesTheRegistersAndTheMemoryThatKdSees) {
  const std::string shown = RunKd(ThroughServer(), "bp lwdemo!DemoLeaf;g;r;db @rip L8;q");
  std::map<std::string, std::uint64_t> expected;
  const std::regex pattern("\\b(r[a-z0-9]+|efl|[cs]s)=([0-9a-f]+)");
  for (std::sregex_iterator at(shown.begin(), shown.end(), pattern), end; at != end; ++at)
    expected[(*at)[1]] = std::stoull((*at)[2], nullptr, 16);
  ASSERT_EQ(expected.size(), 20u) << shown;
  std::vector<std::string> commands;
  const std::uint64_t flags = expected["efl"];
  expected.erase("efl");
  for (const auto& [name, value] : expected)
    commands.push_back("printf \"<" + name + "=%lx>\\n\", (unsigned long)$" + name);
  commands.insert(commands.end(),
                  {"p/x $eflags", "x/8xb $rip", "p/x $cr3", "p $gs_base != 0", "info registers"});
  const std::string seen = RunGdb(commands);
  for (const auto& [name, value] : expected)
    EXPECT_THAT(seen, HasSubstr("<" + name + "=" + Hex(value).substr(2) + ">")) << shown;
  EXPECT_THAT(seen, HasSubstr("$1 = " + Hex(flags) + "\n"));
  EXPECT_TRUE(std::regex_search(seen, std::regex("\\$2 = 0x[1-9a-f][0-9a-f]*000\n\\$3 = 1\n"))) << seen;
  EXPECT_THAT(seen, HasSubstr("k_gs_base"));
  std::smatch bytes;
  ASSERT_TRUE(std::regex_search(shown, bytes, std::regex("`[0-9a-f]{8}  (([0-9a-f]{2}[ -]){8})"))) << shown;
  std::string row = bytes[1];
  row = std::regex_replace(row, std::regex("([0-9a-f]{2})[ -]"), "\t0x$1");
  EXPECT_THAT(seen, HasSubstr(row));
}

TEST_F(Gdb, StopsAtABreakpointStepsAndGoesOn) {
  const std::uint64_t leaf = AddressOf("lwdemo!DemoLeaf");
  const auto original = machine_->Memory(leaf, 1);
  ASSERT_EQ(original.size(), 1u);
  const std::string seen =
      RunGdb({"break *" + Hex(leaf), "continue", "p/x $rip", "stepi", "p $rip > " + Hex(leaf), "continue",
              "p/x $rip", "delete", "hbreak *" + Hex(leaf), "continue", "p/x $rip", "delete",
              "watch *(long*)$rsp", "continue", "info threads", "detach"});
  EXPECT_THAT(seen, HasSubstr("Breakpoint 1, " + Hex(leaf)));
  EXPECT_THAT(seen, HasSubstr("$1 = " + Hex(leaf) + "\n"));
  EXPECT_THAT(seen, HasSubstr("$2 = 1\n"));
  EXPECT_THAT(seen, HasSubstr("$3 = " + Hex(leaf) + "\n"));
  EXPECT_THAT(seen, HasSubstr("$4 = " + Hex(leaf) + "\n"));
  EXPECT_TRUE(std::regex_search(seen, std::regex("Breakpoint 2, " + Hex(leaf)))) << seen;
  EXPECT_THAT(seen, HasSubstr("atchpoint 3: *(long*)$rsp\n\nOld value"));
  EXPECT_TRUE(std::regex_search(seen, std::regex("Thread \\d \\(processor \\d, stopped here\\)"))) << seen;
  EXPECT_THAT(seen, HasSubstr("detached]"));
  EXPECT_TRUE(IsClean(leaf, original[0]));
}

TEST_F(Gdb, ChangesMemoryAndRegisters) {
  const std::string seen =
      RunGdb({"set {long}($rsp-256) = 0x1122334455667788", "p/x {long}($rsp-256)", "set $saved = $rbx",
              "set $rbx = 0x123456789", "maint flush register-cache", "p/x $rbx", "set $rbx = $saved",
              "p/x {int}0x10", "detach"});
  EXPECT_THAT(seen, HasSubstr("$1 = 0x1122334455667788\n"));
  EXPECT_THAT(seen, HasSubstr("$2 = 0x123456789\n"));
  EXPECT_THAT(seen, HasSubstr("Cannot access memory at address 0x10"));
}

TEST_F(Gdb, InterruptsARunningTarget) {
  const auto gdb = StartGdb();
  for (int i = 0; i < 3; ++i) {
    gdb->Write("echo going\\n\ncontinue\n");
    ASSERT_TRUE(gdb->WaitFor("Continuing.")) << gdb->both();
    // gdb swallows a Ctrl-C that comes while it is about to resume.
    for (int look = 0; look < 600 && Status().find("\"state\":\"running\"") == std::string::npos; ++look)
      ::usleep(50'000);
    gdb->Signal(SIGINT);
    ASSERT_TRUE(gdb->WaitFor("received signal SIGINT", kLimit)) << gdb->both();
  }
  gdb->Write("info threads\np/x $cs\nquit\n");
  EXPECT_EQ(gdb->Wait(kLimit), 0);
  EXPECT_THAT(gdb->both(), HasSubstr("(processor 0"));
  EXPECT_THAT(gdb->both(), HasSubstr("= 0x10\n"));
  EXPECT_TRUE(LinkIsFree());
}

TEST_F(Gdb, ShowsEveryProcessor) {
  const std::string seen =
      RunGdb({"set $first = $rip", "set $stack = $rsp", "thread 2", "p $rip != $first", "p $rsp != $stack",
              "thread 1", "p $rip == $first", "stepi", "p $rip != $first"});
  EXPECT_THAT(seen, HasSubstr("Switching to thread 2 (Thread 2)"));
  EXPECT_THAT(seen, HasSubstr("$1 = 1\n$2 = 1\n"));
  EXPECT_THAT(seen, HasSubstr("Switching to thread 1 (Thread 1)"));
  EXPECT_THAT(seen, HasSubstr("$3 = 1\n"));
  EXPECT_THAT(seen, HasSubstr("$4 = 1\n"));
}

TEST_F(Gdb, StepsAnotherProcessorThanTheOneThatStopped) {
  const std::uint64_t leaf = AddressOf("lwdemo!DemoLeaf");
  const std::string seen = RunGdb({"thread 2", "set $there = $rip", "stepi", "p $rip != $there", "thread",
                                   "set $there = $rip", "stepi", "p $rip != $there", "break *" + Hex(leaf),
                                   "continue", "p/x $rip", "delete", "detach"});
  EXPECT_THAT(seen, HasSubstr("$1 = 1\n"));
  EXPECT_THAT(seen, HasSubstr("[Current thread is 2 (Thread 2)]"));
  EXPECT_THAT(seen, HasSubstr("$2 = 1\n"));
  EXPECT_THAT(seen, HasSubstr("$3 = " + Hex(leaf) + "\n")) << "and the machine runs on";
}

TEST_F(Gdb, IsToldWhoDrivesTheLink) {
  const auto kd = StartKd(ThroughServer());
  ASSERT_TRUE(kd->WaitFor("kd> ", kLimit)) << kd->both();
  const std::string seen = RunGdb({"p/x $rip"});
  EXPECT_THAT(seen, HasSubstr("is in use by "));
  EXPECT_THAT(seen, Not(HasSubstr("$1 = 0x")));
  kd->Write("qd\n");
  EXPECT_EQ(kd->Wait(kLimit), 0);
}

TEST_F(Gdb, KeepsOthersOutWhileItDrives) {
  const auto gdb = StartGdb();
  EXPECT_THAT(RunKd(ThroughServer(), "r;q"), HasSubstr("in use by gdb@127.0.0.1:"));
  EXPECT_THAT(RunGdb({"p 1"}), HasSubstr("in use by gdb@127.0.0.1:"));
  EXPECT_THAT(Status(), HasSubstr("gdb@127.0.0.1:"));
  gdb->Write("quit\n");
  EXPECT_EQ(gdb->Wait(kLimit), 0);
}

TEST_F(Gdb, LeavesNothingBehindWhenItIsKilled) {
  const std::uint64_t leaf = AddressOf("lwdemo!DemoLeaf");
  const auto original = machine_->Memory(leaf, 1);
  ASSERT_EQ(original.size(), 1u);
  const auto gdb = StartGdb();
  gdb->Write("set breakpoint always-inserted on\nbreak *" + Hex(leaf) + "\ncontinue\n");
  ASSERT_TRUE(gdb->WaitFor("Breakpoint 1, ", kLimit)) << gdb->both();
  // On its way out of the function and around to it again: planted while it runs.
  gdb->Write("delete\nset $leaf = " + Hex(leaf) + "\nhbreak *$leaf\ncontinue\n");
  ASSERT_TRUE(gdb->WaitFor("Breakpoint 2, ", kLimit)) << gdb->both();
  gdb->Write("break *$leaf+3\ncontinue\n");
  ASSERT_TRUE(gdb->WaitFor("Breakpoint 3, ", kLimit)) << gdb->both();
  gdb->Signal(SIGKILL);
  EXPECT_TRUE(LinkIsFree());
  EXPECT_TRUE(IsClean(leaf, original[0]));
  EXPECT_THAT(RunKd(ThroughServer(), "r;qd"), HasSubstr("rip="));
}

TEST(GdbOffer, BeyondThisMachineNeedsOpen) {
  ChildProcess server({KDSRV_PATH, "--state", "none", "-t", "npipe:pipe=lw-pass-open", "--gdb",
                       "com:pipe,port=/run/vm=0.0.0.0:0"});
  EXPECT_EQ(server.Wait(), 2);
  EXPECT_THAT(server.error(), HasSubstr("needs no password"));
}

}  // namespace
}  // namespace longwire::test
