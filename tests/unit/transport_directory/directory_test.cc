#include "transport/directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temporary_directory.h"
#include "transport/server_process.h"

namespace longwire {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr pid_t kNoSuchProcess = 0x7ffffff0;

struct Registry {
  TemporaryDirectory shared, own;
  DirectoryPaths paths() const { return DirectoryPaths{shared.path(), own.path(), {}}; }
  DirectoryPaths own_only() const { return DirectoryPaths{shared.path() + "/missing", own.path(), {}}; }
};

Endpoint Server(const char* text) {
  const Result<Endpoint> endpoint = ParseServerEndpoint(text);
  EXPECT_TRUE(endpoint) << text;
  return endpoint ? *endpoint : Endpoint();
}

ServerEntry Entry(const char* text = "tcp:port=1025") {
  const auto entry = MakeServerEntry(ServerType::kKernel, Server(text));
  EXPECT_TRUE(entry);
  return entry.value_or(ServerEntry());
}

std::vector<std::string> Endpoints(const DirectoryPaths& paths, bool stale = false) {
  std::vector<std::string> endpoints;
  for (const ServerEntry& entry : ReadServerDirectories(paths, stale)) endpoints.push_back(entry.endpoint);
  return endpoints;
}

TEST(MakeServerEntry, HidesThePassword) {
  EXPECT_EQ(Entry("tcp:port=53:60,password=secret").endpoint, "tcp:Port=53:60,Password=*");
}

TEST(MakeServerEntry, LeavesOutHiddenAndReverseServers) {
  EXPECT_FALSE(MakeServerEntry(ServerType::kKernel, Server("tcp:port=1,hidden")));
  EXPECT_FALSE(MakeServerEntry(ServerType::kKernel, Server("tcp:port=1,clicon=desk7")));
  EXPECT_TRUE(MakeServerEntry(ServerType::kKernel, Server("tcp:port=1,hidden=0")));
}

TEST(MakeServerEntry, CutsLongTexts) {
  const std::string longer(5000, 'x');
  const auto entry = MakeServerEntry(ServerType::kProcess, Server("npipe:pipe=web"), longer, longer);
  ASSERT_TRUE(entry);
  EXPECT_TRUE(ParseServerEntry(FormatServerEntry(*entry)));
}

TEST(ScopedDirectoryEntry, IsListedWhileItLives) {
  const Registry registry;
  {
    const ScopedDirectoryEntry listed(Entry("npipe:pipe=web"), registry.paths());
    EXPECT_TRUE(listed.listed());
    EXPECT_EQ(listed.notice(), "");
    const auto entries = ReadServerDirectories(registry.paths(), false);
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].endpoint, "npipe:Pipe=web");
    EXPECT_EQ(entries[0].pid, ::getpid());
    EXPECT_FALSE(entries[0].stale);
    EXPECT_EQ(registry.shared.Count(), 1u);
  }
  EXPECT_THAT(Endpoints(registry.paths(), true), IsEmpty());
  EXPECT_EQ(registry.shared.Count(), 0u);
  EXPECT_EQ(registry.own.Count(), 0u);
}

TEST(ScopedDirectoryEntry, OneProcessListsSeveralServers) {
  const Registry registry;
  const ScopedDirectoryEntry first(Entry("tcp:port=5005"), registry.paths());
  ScopedDirectoryEntry second(Entry("npipe:pipe=web"), registry.paths());
  EXPECT_EQ(Endpoints(registry.paths()), (std::vector<std::string>{"npipe:Pipe=web", "tcp:Port=5005"}));
  ScopedDirectoryEntry moved(std::move(second));
  EXPECT_EQ(Endpoints(registry.paths()).size(), 2u);
  moved = ScopedDirectoryEntry();
  EXPECT_EQ(Endpoints(registry.paths()), (std::vector<std::string>{"tcp:Port=5005"}));
}

TEST(ScopedDirectoryEntry, OthersMayReadTheFileWhateverTheUmask) {
  const Registry registry;
  const mode_t before = ::umask(0077);
  const ScopedDirectoryEntry listed(Entry(), registry.paths());
  ::umask(before);
  ASSERT_EQ(registry.shared.Count(), 1u);
  struct stat found {};
  ASSERT_EQ(::stat(std::filesystem::directory_iterator(registry.shared.path())->path().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777u, 0644u);
}

TEST(ScopedDirectoryEntry, AForkedChildLeavesItAlone) {
  const Registry registry;
  {
    ScopedDirectoryEntry listed(Entry(), registry.paths());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      listed = ScopedDirectoryEntry();
      ::_exit(0);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    EXPECT_EQ(Endpoints(registry.paths()).size(), 1u);
  }
  EXPECT_EQ(registry.shared.Count(), 0u);
}

TEST(ScopedDirectoryEntry, FallsBackToTheUsersOwnDirectoryAndSaysSo) {
  const Registry registry;
  DirectoryPaths paths = registry.own_only();
  paths.own = registry.own.path() + "/made";
  const ScopedDirectoryEntry listed(Entry(), paths);
  EXPECT_TRUE(listed.listed());
  EXPECT_THAT(listed.notice(), AllOf(StartsWith("Only this user finds the server with -QR: cannot write "),
                                     HasSubstr("No such file"), HasSubstr("group debugger")));
  EXPECT_EQ(Endpoints(paths).size(), 1u);
  struct stat found {};
  ASSERT_EQ(::stat(paths.own.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777u, 0700u);
}

TEST(ScopedDirectoryEntry, AServerThatCannotBeListedRunsOnAndSaysSo) {
  const Registry registry;
  DirectoryPaths paths = registry.own_only();
  paths.own = registry.own.path() + "/no/parent";
  const ScopedDirectoryEntry listed(Entry(), paths);
  EXPECT_FALSE(listed.listed());
  EXPECT_THAT(listed.notice(), StartsWith("-QR does not list this server"));
}

TEST(ScopedDirectoryEntry, DoesNotWriteThroughALink) {
  const Registry registry;
  const std::string link = registry.shared.File("link");
  std::filesystem::create_directory_symlink(registry.own.path(), link);
  const ScopedDirectoryEntry listed(Entry(), DirectoryPaths{link, registry.own.path() + "/no/parent", {}});
  EXPECT_FALSE(listed.listed());
  EXPECT_EQ(registry.own.Count(), 0u);
}

TEST(ScopedDirectoryEntry, RemovesWhatManyKilledServersLeft) {
  const Registry registry;
  for (int i = 0; i < 50; ++i) {
    ServerEntry entry = Entry();
    entry.pid = kNoSuchProcess;
    entry.start_time = static_cast<std::uint64_t>(i);
    registry.shared.Write(std::to_string(i) + ".server", FormatServerEntry(entry));
  }
  registry.shared.Write("notes.txt", "not ours");
  const ScopedDirectoryEntry listed(Entry("npipe:pipe=live"), registry.paths());
  EXPECT_EQ(registry.shared.Count(), 1u + 1u + 16u);
  EXPECT_EQ(Endpoints(registry.paths()), (std::vector<std::string>{"npipe:Pipe=live"}));
}

TEST(ReadServerDirectories, DropsEntriesOfProcessesThatAreGone) {
  const Registry registry;
  ServerEntry gone = Entry("tcp:port=1");
  gone.pid = kNoSuchProcess;
  registry.shared.Write("a.server", FormatServerEntry(gone));
  ServerEntry reused = Entry("tcp:port=2");
  reused.start_time += 1;
  registry.own.Write("b.server", FormatServerEntry(reused));
  registry.own.Write("c.server", FormatServerEntry(Entry("tcp:port=3")));
  EXPECT_EQ(Endpoints(registry.paths()), (std::vector<std::string>{"tcp:Port=3"}));
  int stale = 0;
  for (const ServerEntry& entry : ReadServerDirectories(registry.paths(), true)) stale += entry.stale ? 1 : 0;
  EXPECT_EQ(stale, 2);
  EXPECT_EQ(Endpoints(registry.paths(), true).size(), 3u);
}

TEST(ReadServerDirectories, AFileCannotSayThatItIsLive) {
  const Registry registry;
  ServerEntry gone = Entry();
  gone.pid = kNoSuchProcess;
  gone.stale = false;
  registry.shared.Write("a.server", FormatServerEntry(gone));
  EXPECT_THAT(Endpoints(registry.paths()), IsEmpty());
}

TEST(ReadServerDirectories, PassesOverWhatIsNoEntry) {
  const Registry registry;
  const std::string good = FormatServerEntry(Entry());
  registry.shared.Write("empty.server", "");
  registry.shared.Write("garbage.server", std::string("\0\xff{[", 4));
  registry.shared.Write("large.server", good + std::string(20'000, ' '));
  registry.shared.Write("other.txt", good);
  registry.own.Write("elsewhere", good);
  std::filesystem::create_symlink(registry.own.File("elsewhere"), registry.shared.File("link.server"));
  std::filesystem::create_directory(registry.shared.File("directory.server"));
  ASSERT_EQ(::mkfifo(registry.shared.File("fifo.server").c_str(), 0644),
            0);  // reading it would wait for ever
  EXPECT_THAT(Endpoints(registry.paths(), true), IsEmpty());
  registry.shared.Write("good.server", good);
  EXPECT_EQ(Endpoints(registry.paths()).size(), 1u);
}

TEST(ReadServerDirectories, AFileOfAnotherUserCannotSpeakForAProcess) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make a file of another user";
  const Registry registry;
  registry.shared.Write("forged.server", FormatServerEntry(Entry()));
  ASSERT_EQ(::chown(registry.shared.File("forged.server").c_str(), 65534, 65534), 0);
  EXPECT_THAT(Endpoints(registry.paths(), true), IsEmpty());
  ASSERT_EQ(::chown(registry.shared.File("forged.server").c_str(), 0, 0), 0);
  EXPECT_EQ(Endpoints(registry.paths(), true).size(), 1u);
}

TEST(ReadServerDirectories, ReadsEveryPlaceOnce) {
  const Registry registry;
  registry.own.Write("a.server", FormatServerEntry(Entry()));
  const DirectoryPaths paths{
      registry.own.path(), registry.own.path(), {registry.own.path(), "/nonexistent/longwire"}};
  EXPECT_EQ(Endpoints(paths).size(), 1u);
}

TEST(ServerDirectories, FollowTheEnvironment) {
  const Environment none = [](const std::string&) { return std::nullopt; };
  EXPECT_EQ(ServerDirectories(none).shared, "/run/longwire-servers");
  const Environment named = [](const std::string& name) -> std::optional<std::string> {
    if (name == "XDG_RUNTIME_DIR") return "/somewhere";
    if (name == "LONGWIRE_SERVERS_DIRECTORY") return "/elsewhere";
    return std::nullopt;
  };
  EXPECT_EQ(ServerDirectories(named).shared, "/elsewhere");
  EXPECT_EQ(ServerDirectories(named).own, "/somewhere/longwire-servers");
  EXPECT_THAT(ServerDirectories(named).also_read, testing::Contains(ServerDirectories(none).own));
}

}  // namespace
}  // namespace longwire
