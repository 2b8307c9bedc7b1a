#include "transport/server_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace longwire {
namespace {

constexpr pid_t kNoSuchProcess = 0x7ffffff0;  // above the largest id Linux gives

TEST(ServerProcess, KnowsItself) {
  const auto self = IdentifyProcess(::getpid());
  ASSERT_TRUE(self);
  EXPECT_GT(self->start_time, 0u);
  EXPECT_EQ(self->user, ::geteuid());
  EXPECT_FALSE(self->ended);
  EXPECT_TRUE(ProcessExists(::getpid()));
}

TEST(ServerProcess, KnowsNothingOfAProcessThatIsNotThere) {
  EXPECT_FALSE(IdentifyProcess(kNoSuchProcess));
  EXPECT_FALSE(ProcessExists(kNoSuchProcess));
  EXPECT_FALSE(ProcessExists(0));
  EXPECT_FALSE(ProcessExists(-1));
}

TEST(ServerProcess, AProcessNobodyHasWaitedForHasEnded) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  const auto identity = IdentifyProcess(child);
  ASSERT_TRUE(identity);
  EXPECT_TRUE(identity->ended);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(IdentifyProcess(child));
}

}  // namespace
}  // namespace longwire
