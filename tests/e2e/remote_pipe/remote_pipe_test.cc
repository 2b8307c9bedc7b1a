#include "transport/remote_pipe.h"

#include <signal.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

#include "tests/support/coro_test.h"
#include "tests/support/temporary_directory.h"
#include "transport/endpoint.h"
#include "transport/listener.h"

namespace longwire {
namespace {

using std::chrono::milliseconds;

/// ssh is a script here that runs the command on this machine; kdsrv is the real one.
class RemotePipe : public testing::Test {
 protected:
  RemotePipe() {
    ::setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
    ::signal(SIGPIPE, SIG_IGN);
  }

  void SetShell(const std::string& script) const {
    directory_.Write("rsh", "#!/bin/sh\n" + script + "\n");
    ASSERT_EQ(::chmod(directory_.File("rsh").c_str(), 0755), 0);
  }
  Environment environment() const {
    return [shell = directory_.File("rsh") + " -x"](const std::string& name) -> std::optional<std::string> {
      if (name == "_DBG_PIPE_RSH") return shell;
      return std::nullopt;
    };
  }
  /// What the words are: -x HOST kdsrv --connect-pipe NAME.
  static std::string RunsHere() {
    return std::string("[ \"$1 $2 $3\" = '-x elsewhere kdsrv' ] || exit 9\nshift 3\nexec '") +
           LONGWIRE_KDSRV + "' \"$@\"";
  }
  Awaitable<Result<std::unique_ptr<Stream>>> Connect(const std::string& pipe, milliseconds limit) {
    return DialRemotePipe(context_.get_executor(), "elsewhere", pipe, environment(), limit);
  }
  /// Expects that connecting fails, with words of the message.
  void Fails(milliseconds limit, Errc code, const std::string& words) {
    test::RunTest(context_, [&]() -> Awaitable<void> {
      const auto stream = co_await Connect("lab", limit);
      CO_EXPECT_ERROR(stream, code);
      if (!stream) {
        EXPECT_NE(stream.error().message.find(words), std::string::npos) << stream.error().message;
      }
    });
  }

  TemporaryDirectory directory_;
  boost::asio::io_context context_{1};
};

TEST_F(RemotePipe, ReachesTheServerAndHalfCloses) {
  SetShell(RunsHere());
  test::RunTest(context_, [&]() -> Awaitable<void> {
    auto listener = Listen(context_.get_executor(), *ParseServerEndpoint("npipe:pipe=Lab"));
    CO_ASSERT_OK(listener);
    auto near = co_await Connect("lab", milliseconds(4000));
    CO_ASSERT_OK(near);
    EXPECT_EQ((*near)->peer().address, "elsewhere pipe lab");
    auto far = co_await (*listener)->Accept();
    CO_ASSERT_OK(far);
    std::array<std::byte, 100> sent{}, got{};
    sent.fill(std::byte{7});
    CO_ASSERT_OK(co_await (*near)->WriteAll(sent));
    CO_ASSERT_OK(co_await (*near)->ShutdownWrite());
    std::size_t have = 0;
    for (;;) {
      const auto count = co_await (*far)->ReadSome(std::span(got).subspan(have));
      CO_ASSERT_OK(count);
      if (*count == 0) break;
      have += *count;
      if (have == got.size()) break;
    }
    CO_ASSERT_TRUE(got == sent);
    got.fill(std::byte{0});
    CO_ASSERT_OK(co_await (*far)->WriteAll(sent));
    (*far)->Close();
    have = 0;
    while (have < got.size()) {
      const auto count = co_await (*near)->ReadSome(std::span(got).subspan(have));
      CO_ASSERT_OK(count);
      CO_ASSERT_TRUE(*count > 0);
      have += *count;
    }
    CO_ASSERT_TRUE(got == sent);
    const auto end = co_await (*near)->ReadSome(got);
    CO_ASSERT_OK(end);
    CO_ASSERT_EQ(*end, 0u);
  });
}

TEST_F(RemotePipe, QuotesWhatTheShellComplainsAbout) {
  SetShell("echo 'ssh: Could not resolve hostname elsewhere' >&2; exit 255");
  Fails(milliseconds(4000), Errc::kUnreachable, "ssh: Could not resolve hostname elsewhere; or use tcp:");
}

TEST_F(RemotePipe, QuotesAServerThatIsNotThere) {
  SetShell(RunsHere());
  Fails(milliseconds(4000), Errc::kUnreachable, "no server listens on the pipe lab");
}

TEST_F(RemotePipe, SaysThatKdsrvIsMissing) {
  SetShell("echo 'sh: kdsrv: not found' >&2; exit 127");
  Fails(milliseconds(4000), Errc::kNotFound, "no kdsrv in the PATH");
}

TEST_F(RemotePipe, DoesNotTakeALoginScriptForTheServer) {
  SetShell("echo 'Welcome to elsewhere, have a nice day'; exec sleep 60");
  Fails(milliseconds(4000), Errc::kMalformed, "login script");
}

TEST_F(RemotePipe, GivesUpOnASilentShell) {
  SetShell("exec sleep 60");
  Fails(milliseconds(100), Errc::kTimedOut, "no answer");
}

TEST_F(RemotePipe, SaysThatTheShellIsMissing) { Fails(milliseconds(4000), Errc::kNotFound, "_DBG_PIPE_RSH"); }

TEST_F(RemotePipe, EndsTheShellWithTheStream) {
  SetShell("echo $$ > '" + directory_.File("pid") + "'\nprintf 'longwire-pipe 1\\n'\nexec sleep 60");
  test::RunTest(context_, [&]() -> Awaitable<void> {
    auto stream = co_await Connect("lab", milliseconds(4000));
    CO_ASSERT_OK(stream);
    std::ifstream file(directory_.File("pid"));
    pid_t shell = 0;
    file >> shell;
    CO_ASSERT_TRUE(shell > 0);
    CO_ASSERT_EQ(::kill(shell, 0), 0);
    stream->reset();
    CO_ASSERT_EQ(::kill(shell, 0), -1);
  });
}

}  // namespace
}  // namespace longwire
