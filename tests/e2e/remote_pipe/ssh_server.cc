#include "tests/e2e/remote_pipe/ssh_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/own_ports.h"

namespace longwire::test {
namespace {

constexpr char kServer[] = "/usr/sbin/sshd";
/// Where a server that root starts shuts its network process in (Debian); made by the init system.
constexpr char kRunDirectory[] = "/run/sshd";

void MakeKey(const std::string& path) {
  ChildProcess made({"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path});
  EXPECT_EQ(made.Wait(), 0) << made.both();
}

std::string Text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

bool SshServer::IsInstalled() {
  return ::access(kServer, X_OK) == 0 && ::access("/usr/bin/ssh", X_OK) == 0 &&
         ::access("/usr/bin/ssh-keygen", X_OK) == 0;
}

SshServer::SshServer(std::string directory, const std::string& program) : directory_(std::move(directory)) {
  for (const char* name : {"host", "mine", "stranger"}) MakeKey(File(name));
  Write(File("authorized"), Text(File("mine.pub")));
  Write(File("hosts"), "lab " + Text(File("host.pub")));
  Write(File("no_hosts"), "");
  std::filesystem::create_directory(File("bin"));
  std::filesystem::create_symlink(program, File("bin/") + std::filesystem::path(program).filename().string());
}

SshServer::~SshServer() {
  server_.reset();
  if (made_run_directory_) ::rmdir(kRunDirectory);
}

bool SshServer::Start(bool with_program) {
  port_ = OwnPort();
  if (::geteuid() == 0 && ::mkdir(kRunDirectory, 0755) == 0) made_run_directory_ = true;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  Write(File("sshd_config"), "Port " + std::to_string(port_) + "\nListenAddress 127.0.0.1\nHostKey " +
                                 File("host") + "\nAuthorizedKeysFile " + File("authorized") +
                                 "\nPidFile none\nStrictModes no\n" +
                                 "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n" +
                                 "PermitRootLogin prohibit-password\nPrintMotd no\nSetEnv XDG_RUNTIME_DIR=" +
                                 (runtime ? runtime : "") +
                                 " PATH=" + (with_program ? File("bin") + ":" : "") + "/usr/bin:/bin\n");
  server_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{kServer, "-D", "-e", "-f", File("sshd_config")});
  const bool listens = server_->WaitFor("Server listening on 127.0.0.1");
  EXPECT_TRUE(listens) << server_->both();
  return listens;
}

std::string SshServer::Words(const std::string& key, const std::string& hosts) const {
  return "/usr/bin/ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityAgent=none"
         " -o StrictHostKeyChecking=yes -o HostName=127.0.0.1 -o HostKeyAlias=lab -o UserKnownHostsFile=" +
         File(hosts) + " -i " + File(key) + " -p " + std::to_string(port_);
}

std::string SshServer::Shell() const { return Words("mine", "hosts"); }
std::string SshServer::ShellOfAStranger() const { return Words("stranger", "hosts"); }
std::string SshServer::ShellThatTrustsNobody() const { return Words("mine", "no_hosts"); }

}  // namespace longwire::test
