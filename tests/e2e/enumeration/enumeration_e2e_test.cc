#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.h"
#include "transport/captured_command.h"

namespace longwire {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::chrono::seconds kPatience{20};

/// `kdsrv -v` with `transport`, listening once the constructor is done.
class Kdsrv {
 public:
  Kdsrv(const std::vector<std::string>& environment, const std::string& transport) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    std::vector<std::string> words{"env"};
    words.insert(words.end(), environment.begin(), environment.end());
    words.insert(words.end(), {KDSRV, "-v", "-t", transport});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], 2);
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    errors_ = ends[0];
  }
  Kdsrv(const Kdsrv&) = delete;
  Kdsrv& operator=(const Kdsrv&) = delete;
  ~Kdsrv() {
    if (pid_ > 0) End(SIGKILL);
    if (errors_ >= 0) ::close(errors_);
  }

  /// Reads standard error until it holds a whole line with `text` in it; what was read so far.
  std::string ReadUntil(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!HasLineWith(text) && std::chrono::steady_clock::now() < deadline) {
      pollfd waiting{errors_, POLLIN, 0};
      if (::poll(&waiting, 1, 100) <= 0) continue;
      char buffer[4096];
      const ssize_t size = ::read(errors_, buffer, sizeof buffer);
      if (size <= 0) break;
      seen_.append(buffer, static_cast<std::size_t>(size));
    }
    return seen_;
  }

  /// Sends the signal and waits; the status as of waitpid().
  int End(int signal) {
    int status = 0;
    ::kill(pid_, signal);
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  void KillWithoutWaiting() {
    siginfo_t info{};
    ::kill(pid_, SIGKILL);
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
  }
  pid_t pid() const { return pid_; }

 private:
  bool HasLineWith(const std::string& text) const {
    const std::size_t at = seen_.find(text);
    return at != std::string::npos && seen_.find('\n', at) != std::string::npos;
  }

  pid_t pid_ = -1;
  int errors_ = -1;
  std::string seen_;
};

class Enumeration : public testing::Test {
 protected:
  Enumeration() {
    environment_ = {"XDG_RUNTIME_DIR=" + directory_.path(),
                    "LONGWIRE_SERVERS_DIRECTORY=" + directory_.File("shared"),
                    "_DBG_PIPE_RSH=" + directory_.File("rsh")};
    ::mkdir(directory_.File("shared").c_str(), 0755);
    ::mkdir(directory_.File("longwire").c_str(), 0700);
  }

  CapturedOutput RunKd(const std::vector<std::string>& options) const {
    std::vector<std::string> words{"env"};
    words.insert(words.end(), environment_.begin(), environment_.end());
    words.push_back(KD);
    words.insert(words.end(), options.begin(), options.end());
    const auto captured = RunCaptured(words, kPatience, 1'000'000);
    EXPECT_TRUE(captured) << captured.error().message;
    return captured ? *captured : CapturedOutput{-1, "", ""};
  }
  std::string Listing(const std::vector<std::string>& options = {"-QR", "localhost"}) const {
    const CapturedOutput listed = RunKd(options);
    EXPECT_EQ(listed.exit_code, 0) << listed.errors;
    return listed.output;
  }

  /// The line of a listing that `kdsrv` announced as "listening on ENDPOINT".
  static std::string LineOf(Kdsrv& server) {
    const std::string announcement = "listening on ";
    const std::string text = server.ReadUntil(announcement);
    const std::size_t at = text.find(announcement);
    EXPECT_NE(at, std::string::npos) << text;
    if (at == std::string::npos) return "?";
    const std::size_t begin = at + announcement.size();
    return "Remote Kernel Debugger Server - " + text.substr(begin, text.find('\n', begin) - begin) + "\n";
  }

  TemporaryDirectory directory_;
  std::vector<std::string> environment_;
};

/// The entry is written right after the announcement; a client may ask in between.
bool AppearsIn(const std::function<std::string()>& listing, const std::string& line) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (listing().find(line) != std::string::npos) return true;
  }
  return false;
}

TEST_F(Enumeration, ListsServersUntilTheyEnd) {
  Kdsrv range(environment_, "tcp:port=42000:42999,password=secret7");
  Kdsrv pipe(environment_, "npipe:pipe=Enumerated");
  const std::string range_line = LineOf(range);
  EXPECT_THAT(range_line, testing::MatchesRegex(
                              "Remote Kernel Debugger Server - tcp:Port=42[0-9]+:42999,Password=\\*\n"));
  EXPECT_EQ(LineOf(pipe), "Remote Kernel Debugger Server - npipe:Pipe=Enumerated\n");
  ASSERT_TRUE(AppearsIn([&] { return Listing(); }, range_line));
  ASSERT_TRUE(AppearsIn([&] { return Listing(); }, LineOf(pipe)));
  EXPECT_THAT(Listing({"-QR", "\\\\localhost"}),
              AllOf(StartsWith("Servers on \\\\localhost:\n"), HasSubstr("\n" + range_line),
                    Not(HasSubstr("secret7"))));
  const int status = range.End(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_THAT(Listing({"-QRa", "localhost"}), Not(HasSubstr(range_line)));
  EXPECT_THAT(Listing(), HasSubstr(LineOf(pipe)));
}

TEST_F(Enumeration, JsonShowsPoolAndNote) {
  Kdsrv server(environment_, "npipe:pipe=Pooled,pool=rack 3,note=@{left, slow}");
  ASSERT_TRUE(AppearsIn([&] { return Listing(); }, LineOf(server)));
  EXPECT_THAT(Listing({"-QR", "localhost", "--json"}),
              AllOf(HasSubstr("\"endpoint\":\"npipe:Pipe=Pooled\""), HasSubstr("\"pool\":\"rack 3\""),
                    HasSubstr("\"note\":\"left, slow\"")));
}

TEST_F(Enumeration, AKilledServerIsStaleEvenBeforeItsParentKnows) {
  Kdsrv server(environment_, "npipe:pipe=Killed");
  const std::string line = LineOf(server);
  ASSERT_TRUE(AppearsIn([&] { return Listing(); }, line));
  server.KillWithoutWaiting();
  EXPECT_THAT(Listing(), Not(HasSubstr("Pipe=Killed")));
  const std::string pid = std::to_string(server.pid());
  server.End(SIGKILL);
  EXPECT_THAT(Listing(), Not(HasSubstr("Pipe=Killed")));
  EXPECT_THAT(Listing({"-QRa", "localhost"}),
              HasSubstr("npipe:Pipe=Killed (stale: process " + pid + " has ended)\n"));
}

TEST_F(Enumeration, HiddenServersAreNotListed) {
  Kdsrv hidden(environment_, "npipe:pipe=Unseen,hidden");
  EXPECT_THAT(LineOf(hidden), HasSubstr("Pipe=Unseen"));
  Kdsrv seen(environment_, "npipe:pipe=Seen");
  ASSERT_TRUE(AppearsIn([&] { return Listing({"-QRa", "localhost"}); }, LineOf(seen)));
  EXPECT_THAT(Listing({"-QRa", "localhost"}), Not(HasSubstr("Unseen")));
}

TEST_F(Enumeration, AServerWithoutTheSharedDirectorySaysSoOnceAndIsListedForItsUser) {
  environment_[1] = "LONGWIRE_SERVERS_DIRECTORY=" + directory_.File("missing");
  Kdsrv server(environment_, "npipe:pipe=Private");
  EXPECT_THAT(server.ReadUntil("join that group."),
              HasSubstr("kdsrv: Only this user finds the server with -QR: "));
  EXPECT_THAT(Listing(), HasSubstr("npipe:Pipe=Private\n"));
}

TEST_F(Enumeration, TheQueryStandsAlone) {
  for (const std::vector<std::string>& options : std::vector<std::vector<std::string>>{
           {"-QR", "\\\\BOX17", "-v"}, {"-QR"}, {"-v", "-QR", "h"}, {"-QR", "-x y"}}) {
    const CapturedOutput refused = RunKd(options);
    EXPECT_EQ(refused.exit_code, 2) << refused.errors;
    EXPECT_EQ(refused.output, "");
    EXPECT_THAT(refused.errors, HasSubstr("-QR"));
  }
}

TEST_F(Enumeration, AnotherMachineIsAskedThroughTheReplacementCommand) {
  Kdsrv server(environment_, "npipe:pipe=Far");
  const std::string line = LineOf(server);
  ASSERT_TRUE(AppearsIn([&] { return Listing(); }, line));
  // Stands for ssh: runs the command "there", where kd is in the PATH.
  directory_.Write("rsh",
                   std::string("#!/bin/sh\n[ \"$1\" = BOX17 ] || exit 255\nshift\nPATH=\"$(dirname '") + KD +
                       "'):$PATH\" exec \"$@\"\n");
  ASSERT_EQ(::chmod(directory_.File("rsh").c_str(), 0755), 0);
  EXPECT_THAT(Listing({"-QR", "\\\\BOX17"}), AllOf(StartsWith("Servers on \\\\BOX17:\n"), HasSubstr(line)));
  EXPECT_THAT(Listing({"-QR", "BOX17", "--json"}),
              AllOf(StartsWith("{\"host\":\"BOX17\","), HasSubstr("\"endpoint\":\"npipe:Pipe=Far\"")));
  const CapturedOutput unreachable = RunKd({"-QR", "BOX18"});
  EXPECT_EQ(unreachable.exit_code, 4);
  EXPECT_THAT(unreachable.errors, HasSubstr("BOX18"));
}

}  // namespace
}  // namespace longwire
