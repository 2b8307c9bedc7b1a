#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "tests/e2e/passthrough/offered_link.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;
using testing::Not;

using Raw = OfferedLink;

TEST_F(Raw, AnotherKdHostDebugsOverIt) {
  const std::string shown = RunKd(ThroughRawPort(), "lm;bp lwdemo!DemoLeaf;g;r;bc *;qd");
  EXPECT_THAT(shown, HasSubstr("lwdemo"));
  EXPECT_THAT(shown, HasSubstr("Breakpoint 0 hit"));
  EXPECT_THAT(shown, HasSubstr("rip="));
  EXPECT_TRUE(server_->WaitFor("given back by raw@127.0.0.1:", kLimit)) << server_->error();
  // The line is free for the server's own clients again.
  EXPECT_THAT(RunKd(ThroughServer(), "r;qd"), HasSubstr("rip="));
}

TEST_F(Raw, HasTheLineForItselfUntilItLeaves) {
  const auto first = StartKd(ThroughRawPort());
  ASSERT_TRUE(first->WaitFor("kd> ", kLimit)) << first->both();
  EXPECT_THAT(RunKd(ThroughServer(), "r;q"), HasSubstr("in use by raw@127.0.0.1:"));
  EXPECT_THAT(RunGdb({"p 1"}), HasSubstr("in use by raw@127.0.0.1:"));
  EXPECT_THAT(Status(), HasSubstr("raw@127.0.0.1:"));
  ChildProcess second({KD_PATH, "-kqm", "-bonc", "-k", ThroughRawPort(), "-c", "r;q"});
  ASSERT_TRUE(server_->WaitFor(" refused: the link ", kLimit)) << server_->error();
  EXPECT_THAT(server_->error(), HasSubstr("in use by raw@127.0.0.1:"));
  EXPECT_THAT(second.both(), Not(HasSubstr("rip=")));
  first->Write("r\nqd\n");  // and the first one was not disturbed
  ASSERT_TRUE(first->WaitFor("rip=", kLimit)) << first->both();
  EXPECT_EQ(first->Wait(kLimit), 0);
}

TEST_F(Raw, IsRefusedWhileTheServerDrivesTheLink) {
  const auto kd = StartKd(ThroughServer());
  ASSERT_TRUE(kd->WaitFor("kd> ", kLimit)) << kd->both();
  ChildProcess raw({KD_PATH, "-kqm", "-bonc", "-k", ThroughRawPort(), "-c", "r;q"});
  ASSERT_TRUE(server_->WaitFor(" refused: the link ", kLimit)) << server_->error();
  kd->Write("r\nqd\n");
  EXPECT_TRUE(kd->WaitFor("rip=", kLimit)) << kd->both();
  EXPECT_EQ(kd->Wait(kLimit), 0);
}

TEST_F(Raw, AnAdministratorTakesTheLineBack) {
  const auto kd = StartKd(ThroughRawPort());
  ASSERT_TRUE(kd->WaitFor("kd> ", kLimit)) << kd->both();
  ChildProcess release({KDSRV_PATH, "--release", link()});
  EXPECT_EQ(release.Wait(kLimit), 0) << release.both();
  EXPECT_TRUE(server_->WaitFor("given back by raw@", kLimit)) << server_->error();
}

TEST_F(Raw, EndsWithTheMachine) {
  const auto kd = StartKd(ThroughRawPort());
  ASSERT_TRUE(kd->WaitFor("kd> ", kLimit)) << kd->both();
  machine_->Kill();
  EXPECT_TRUE(server_->WaitFor("the other side of the line is gone", kLimit)) << server_->error();
}

TEST_F(Raw, EndsWithAMachineThatLeftBytesUnread) {
  const auto kd = StartKd(ThroughRawPort());
  ASSERT_TRUE(kd->WaitFor("kd> ", kLimit)) << kd->both();
  machine_->Pause();
  kd->Write("g\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  machine_->Kill();  // its socket is reset, which reads as an error
  EXPECT_TRUE(server_->WaitFor("the other side of the line is gone", kLimit)) << server_->error();
}

}  // namespace
}  // namespace longwire::test
