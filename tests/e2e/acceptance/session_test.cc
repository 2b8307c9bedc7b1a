#include <gmock/gmock.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "tests/e2e/acceptance/scene.h"
#include "tests/support/temporary_directory.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using namespace std::chrono_literals;

class AcceptanceSession : public VariantScene {};

TEST_P(AcceptanceSession, TheCommandOfTheIssuePrintsNamesFromThePdbs) {
  StartServer();
  const auto machine = StartVariant();
  const std::string text = Output(*machine, "lm;k;!process 0 0;q");
  EXPECT_THAT(text, HasSubstr("Kernel Version " + names().build));
  EXPECT_THAT(text, HasSubstr("nt         (private pdb symbols)"));
  EXPECT_THAT(text, HasSubstr(names().demo));
  EXPECT_THAT(text, HasSubstr(names().bus));
  EXPECT_THAT(text, Not(HasSubstr(names().late))) << "that one is not loaded";
  EXPECT_THAT(text, HasSubstr("nt!DbgBreakPointWithStatus\n"));
  EXPECT_THAT(text, HasSubstr("nt!KiIdleLoop+"));
  EXPECT_THAT(text, HasSubstr("Image: System\n"));
  EXPECT_THAT(text, HasSubstr("Image: " + names().process + "\n"));
  EXPECT_THAT(text, HasSubstr("Image: " + names().last + "\n"));
}

TEST_P(AcceptanceSession, QuitLeavesAStoppedTargetStoppedAndWithoutBreakpoints) {
  StartServer();
  const auto machine = StartVariant();
  Output(*machine, Named("bp DEMO!DemoLeaf;g;q"));
  // Without -bonc: it was left stopped, where it was.
  const std::string text =
      Output(*machine, Named("r rip;bl;bp DEMO!DemoTransform;bc *;qd"), {"--wait", "20"});
  EXPECT_THAT(text, HasSubstr(Named("DEMO!DemoLeaf:\n")));
  EXPECT_THAT(text, Not(HasSubstr("0001")));
  // qd let it run: a breakpoint left behind would stop it as an exception nobody asked for.
  EXPECT_THAT(Output(*machine, "q", {"--wait", "1"}, 6), HasSubstr("-bonc"));
}

TEST_P(AcceptanceSession, TheEndOfInputLeavesAsQuitDoes) {
  StartServer();
  const auto machine = StartVariant();
  const auto kd = AttachedKd(*machine);
  kd->Write(Named("bp DEMO!DemoLeaf\ng\n"));
  ASSERT_TRUE(kd->WaitFor("Breakpoint 0 hit")) << kd->both();
  kd->CloseInput();
  EXPECT_EQ(kd->Wait(), 0);
  EXPECT_THAT(Output(*machine, "q", {"--wait", "20"}), HasSubstr(Named("DEMO!DemoLeaf:\n")));
}

TEST_P(AcceptanceSession, TheLogHoldsWhatWasTypedAndShown) {
  StartServer();
  const auto machine = StartVariant();
  const TemporaryDirectory directory;
  const auto kd = AttachedKd(*machine, {"-bonc", "-logo", directory.File("kd.log")});
  kd->Write(".echo once\n.logclose\n.echo unheard\nq\n");
  EXPECT_EQ(kd->Wait(), 0) << kd->both();
  std::ifstream file(directory.File("kd.log"));
  const std::string log{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(log, HasSubstr("Kernel Version " + names().build));
  EXPECT_THAT(log, HasSubstr("kd> .echo once\nonce\n"));
  EXPECT_THAT(log, Not(HasSubstr("unheard")));
}

INSTANTIATE_TEST_SUITE_P(Kernels, AcceptanceSession, testing::Values(&kVariantA, &kVariantB),
                         [](const auto& info) { return std::string(1, info.param->variant); });

using AcceptanceServer = Scene;

TEST_F(AcceptanceServer, EndsOnRequestUnlessSomebodyElseIsAttached) {
  StartServer();
  const auto first = StartMachine(), second = StartMachine();
  const auto kd = AttachedKd(*first), other = AttachedKd(*second);
  kd->Write(".endpsrv\n");
  EXPECT_TRUE(kd->WaitFor("other clients are attached: ")) << kd->both();
  EXPECT_TRUE(kd->WaitFor(second->socket_path())) << kd->both();
  // Only now: the refusal is on standard error, and its place among the lines of standard output is not
  // fixed.
  kd->Write("r rip\n");
  EXPECT_TRUE(kd->WaitFor("rip=")) << kd->both();
  other->Write("qd\n");
  EXPECT_EQ(other->Wait(), 0);
  kd->Write(".endpsrv\n");
  EXPECT_EQ(server_->Wait(5s), 0) << server_->both();
  kd->Write("q\n");
  EXPECT_TRUE(kd->Wait(5s)) << kd->both();
}

TEST_F(AcceptanceServer, RefusesALinkInUseAndNamesTheHolder) {
  StartServer();
  const auto machine = StartMachine();
  const auto holder = AttachedKd(*machine);
  const std::string text = Output(*machine, "q", {"-bonc"}, 6);
  EXPECT_THAT(text, HasSubstr("in use by "));
  EXPECT_THAT(text, Not(HasSubstr("unknown@")));
  holder->Write("r rip\n");
  EXPECT_TRUE(holder->WaitFor("rip=")) << "the refused client did not disturb";
}

TEST_F(AcceptanceServer, TerminatedItLeavesTheTargetRunning) {
  StartServer();
  const auto machine = StartMachine();
  const auto kd = AttachedKd(*machine);
  kd->Write("bp lwdemo!DemoLeaf\ng\n");
  ASSERT_TRUE(kd->WaitFor("Breakpoint 0 hit")) << kd->both();
  server_->Signal(SIGTERM);
  EXPECT_EQ(server_->Wait(5s), 0);
  EXPECT_TRUE(kd->WaitFor("the server is ending", 5s)) << kd->both();
  StartServer();
  EXPECT_THAT(Output(*machine, "q", {"--wait", "1"}, 6), HasSubstr("-bonc"));
}

TEST(AcceptanceArguments, AreHelpedWithAndRefused) {
  const auto run = [](std::vector<std::string> words, std::string* text) {
    ChildProcess program(words);
    const int code = program.Wait().value_or(-1);
    *text = program.both();
    return code;
  };
  std::string text;
  EXPECT_EQ(run({KD_PATH, "-?"}, &text), 0);
  EXPECT_THAT(text, HasSubstr("-bonc"));
  EXPECT_EQ(run({KDSRV_PATH, "-?"}, &text), 0);
  EXPECT_THAT(text, HasSubstr("-t TRANSPORT"));
  EXPECT_EQ(run({KDSRV_PATH}, &text), 2);
  EXPECT_THAT(text, HasSubstr("-t is missing"));
  EXPECT_THAT(text, HasSubstr("usage: kdsrv"));
  EXPECT_EQ(run({KDSRV_PATH, "-t", "smoke:signal=2"}, &text), 2);
  EXPECT_THAT(text, HasSubstr("unknown protocol 'smoke'"));
  // What bash makes of -k kdsrv:server=@{tcp:server=h,port=1},trans=@{com:port=com1}
  EXPECT_EQ(run({KD_PATH, "-k", "kdsrv:server=@tcp:server=h,trans=@{com:port=com1}",
                 "kdsrv:server=@port=1,trans=@{com:port=com1}"},
                &text),
            2);
  EXPECT_THAT(text, HasSubstr("the shell removed the braces"));
  EXPECT_THAT(text, HasSubstr("'kdsrv:server=@{tcp:server=h,port=1},trans=@{com:port=com1}'"));
}

}  // namespace
}  // namespace longwire::test
