#include "client/enumeration/enumeration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "tests/support/temporary_directory.h"
#include "transport/directory.h"

namespace longwire {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// A machine of its own: registry and command to reach others in a temporary directory.
class ListServersTest : public testing::Test {
 protected:
  ListServersTest() {
    variables_ = {{"XDG_RUNTIME_DIR", directory_.path()},
                  {"LONGWIRE_SERVERS_DIRECTORY", directory_.path() + "/shared"},
                  {"_DBG_PIPE_RSH", directory_.File("rsh")}};
    ::mkdir((directory_.path() + "/shared").c_str(), 0755);
  }

  Result<std::string> List(ServersQuery query) const {
    const Environment environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    };
    return ListServers(query, environment);
  }
  std::string Text(const ServersQuery& query) const {
    const Result<std::string> listed = List(query);
    return listed ? *listed : ErrorText(listed.error());
  }
  static std::string ErrorText(const Error& error) {
    return std::string(ErrcName(error.code)) + ": " + error.message;
  }

  void AddServer(const std::string& file, ServerType type, const char* transport, bool stale = false) const {
    auto entry = MakeServerEntry(type, *ParseServerEndpoint(transport));
    ASSERT_TRUE(entry);
    if (stale) entry->pid = 0x7ffffff0;
    directory_.Write("shared/" + file + ".server", FormatServerEntry(*entry));
  }

  /// What runs in place of ssh.
  void SetShell(const std::string& script) const {
    directory_.Write(
        "rsh", "#!/bin/sh\nprintf '%s\\n' \"$@\" > '" + directory_.File("asked") + "'\n" + script + "\n");
    ASSERT_EQ(::chmod(directory_.File("rsh").c_str(), 0755), 0);
  }
  std::string Asked() const {
    std::ifstream file(directory_.File("asked"));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  TemporaryDirectory directory_;
  std::map<std::string, std::string> variables_;
};

TEST_F(ListServersTest, OneListOfAllThreeTypes) {
  AddServer("c", ServerType::kKernel, "tcp:port=53:60,password=secret");
  AddServer("b", ServerType::kProcess, "tcp:port=1025");
  AddServer("a", ServerType::kDebugger, "npipe:pipe=web");
  EXPECT_THAT(Text({"\\\\localhost"}), testing::StartsWith("Servers on \\\\localhost:\n"));
  for (const char* line :
       {"\nDebugger Server - npipe:Pipe=web\n", "\nRemote Process Server - tcp:Port=1025\n",
        "\nRemote Kernel Debugger Server - tcp:Port=53:60,Password=*\n"}) {
    EXPECT_THAT(Text({"localhost"}), HasSubstr(line));
  }
}

TEST_F(ListServersTest, StaleEntriesOnlyOnRequest) {
  AddServer("a", ServerType::kKernel, "npipe:pipe=gone", true);
  EXPECT_THAT(Text({"localhost"}), Not(HasSubstr("Pipe=gone")));
  EXPECT_THAT(
      Text({"localhost", true}),
      HasSubstr("Remote Kernel Debugger Server - npipe:Pipe=gone (stale: process 2147483632 has ended)\n"));
}

TEST_F(ListServersTest, RefusesWhatIsNoHost) {
  for (const char* host :
       {"", "\\\\", "-oProxyCommand=true", "\\\\-v", "a b", "h;id", "$(id)", "h\n", "u@h"}) {
    EXPECT_THAT(Text({host}), testing::StartsWith("usage: ")) << host;
  }
}

TEST_F(ListServersTest, AnotherMachineIsAskedThroughTheCommand) {
  AddServer("a", ServerType::kKernel, "tcp:port=53:60,password=secret");
  const std::string answer = Text({"localhost", false, true});
  SetShell("cat <<'EOF'\n" + answer + "EOF");
  EXPECT_THAT(Text({"\\\\BOX17"}),
              AllOf(testing::StartsWith("Servers on \\\\BOX17:\n"),
                    HasSubstr("Remote Kernel Debugger Server - tcp:Port=53:60,Password=*\n")));
  EXPECT_EQ(Asked(), "BOX17\nkd\n-QR\nlocalhost\n--json\n");
  Text({"fe80::1%eth0", true});
  EXPECT_EQ(Asked(), "fe80::1%eth0\nkd\n-QRa\nlocalhost\n--json\n");
}

TEST_F(ListServersTest, JsonOfAnotherMachineNamesIt) {
  AddServer("a", ServerType::kProcess, "npipe:pipe=web");
  SetShell("cat <<'EOF'\n" + Text({"localhost", false, true}) + "EOF");
  EXPECT_THAT(Text({"BOX17", false, true}),
              AllOf(testing::StartsWith("{\"host\":\"BOX17\",\"servers\":["), HasSubstr("\"npipe:Pipe=web\""),
                    HasSubstr("\"type\":\"Remote Process Server\""), HasSubstr("\"stale\":false")));
}

TEST_F(ListServersTest, TheCommandMayHaveArguments) {
  SetShell("echo '{\"servers\":[]}'");
  variables_["_DBG_PIPE_RSH"] += "  -p 2222";
  EXPECT_EQ(Text({"BOX17"}), "Servers on BOX17:\n");
  EXPECT_EQ(Asked(), "-p\n2222\nBOX17\nkd\n-QR\nlocalhost\n--json\n");
}

TEST_F(ListServersTest, FailuresSayWhichSideFailed) {
  SetShell("echo 'Permission denied (publickey).' >&2; exit 255");
  EXPECT_THAT(Text({"BOX17"}), AllOf(testing::StartsWith("unreachable: Asking BOX17"),
                                     HasSubstr("Permission denied"), HasSubstr("_DBG_PIPE_RSH")));
  SetShell("echo 'sh: kd: not found' >&2; exit 127");
  EXPECT_THAT(Text({"BOX17"}), testing::StartsWith("not-found: Asking BOX17"));
  SetShell("exit 3");
  EXPECT_THAT(Text({"BOX17"}), HasSubstr("exit code 3"));
  variables_["_DBG_PIPE_RSH"] = "longwire-no-such-command";
  EXPECT_THAT(Text({"BOX17"}), HasSubstr("there is no such command"));
}

TEST_F(ListServersTest, AnAnswerThatIsNoListIsRefused) {
  for (const char* answer :
       {"", "Welcome to BOX17", "[]", "{\"servers\":1}", "{\"servers\":[{}]}", "{\"servers\":[1]}"}) {
    SetShell("printf '%s' '" + std::string(answer) + "'");
    EXPECT_THAT(Text({"BOX17"}), testing::StartsWith("malformed: ")) << answer;
  }
}

TEST_F(ListServersTest, AMachineThatNeverAnswersIsGivenUp) {
  SetShell("sleep 1000");
  ServersQuery query{"BOX17"};
  query.limit = std::chrono::milliseconds(200);
  EXPECT_THAT(Text(query), testing::StartsWith("timed-out: Asking BOX17"));
}

}  // namespace
}  // namespace longwire
