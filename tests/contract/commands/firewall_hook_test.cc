#include "server/firewall_hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "tests/support/temporary_directory.h"

namespace longwire {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Optional;

class FirewallHook : public testing::Test {
 protected:
  /// What OpenFirewall() says of `transport` when the hook is a shell that runs `script` with its two words.
  std::optional<std::string> Open(const std::string& transport, const std::string& script,
                                  milliseconds limit = std::chrono::seconds(20)) {
    directory_.Write("hook", script + "\n");
    const Environment environment = [this](const std::string& name) -> std::optional<std::string> {
      if (name == "LONGWIRE_FIREWALL_HOOK") return hook_ ? "sh " + *hook_ : std::string();
      return std::nullopt;
    };
    return OpenFirewall(*ParseServerEndpoint(transport), environment, limit);
  }
  std::string Ran() const {
    std::ifstream file(directory_.File("ran"));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string Record() const { return "echo \"$@\" >> '" + directory_.File("ran") + "'"; }

  TemporaryDirectory directory_;
  std::optional<std::string> hook_ = directory_.File("hook");
};

TEST_F(FirewallHook, RunsWithTheProtocolAndThePort) {
  EXPECT_EQ(Open("tcp:port=5005,IcfEnable", Record()), std::nullopt);
  EXPECT_EQ(Ran(), "tcp 5005\n");
}

TEST_F(FirewallHook, RunsOnlyWhenAskedFor) {
  EXPECT_EQ(Open("tcp:port=5005", Record()), std::nullopt);
  EXPECT_THAT(Open("npipe:pipe=lab,IcfEnable", Record()), Optional(HasSubstr("through ssh")));
  EXPECT_EQ(Ran(), "");
}

TEST_F(FirewallHook, FailuresAreTold) {
  EXPECT_THAT(Open("tcp:port=5005,IcfEnable", "echo 'no rights' >&2; exit 3"),
              Optional(HasSubstr("did not open port 5005: exit code 3, no rights")));
  EXPECT_THAT(Open("tcp:port=5005,IcfEnable", "exec sleep 60", milliseconds(50)),
              Optional(HasSubstr("did not open port 5005")));
}

TEST_F(FirewallHook, WithoutOneTheUserIsToldWhatToRun) {
  if (::access(kFirewallHook, X_OK) == 0) GTEST_SKIP() << "this machine has a hook";
  hook_.reset();
  EXPECT_THAT(Open("tcp:port=5005,IcfEnable", Record()), Optional(HasSubstr("tcp dport 5005 accept")));
}

}  // namespace
}  // namespace longwire
