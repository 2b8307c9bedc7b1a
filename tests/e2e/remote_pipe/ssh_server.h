#pragma once

#include <memory>
#include <string>

#include "tests/support/child_process.h"

namespace longwire::test {

/// OpenSSH's server on a port of loopback, run by this user with keys and a configuration of its own in
/// `directory`; nothing of the system's configuration is read or written.
class SshServer {
 public:
  static bool IsInstalled();

  /// Makes the keys. Commands find `program` in the PATH under its file name, and their environment has the
  /// XDG_RUNTIME_DIR of this process.
  SshServer(std::string directory, const std::string& program);
  SshServer(const SshServer&) = delete;
  SshServer& operator=(const SshServer&) = delete;
  ~SshServer();

  /// False, with a failed test: it does not run.
  bool Start(bool with_program = true);
  void Stop() { server_.reset(); }
  int port() const { return port_; }

  /// For _DBG_PIPE_RSH: ssh that reaches this server whatever host it is given, asks nothing, and accepts the
  /// server's key and no other.
  std::string Shell() const;
  /// The same with a key that the server does not know, or without knowing the server's key.
  std::string ShellOfAStranger() const;
  std::string ShellThatTrustsNobody() const;

 private:
  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  std::string Words(const std::string& key, const std::string& hosts) const;

  std::string directory_;
  int port_ = 0;
  bool made_run_directory_ = false;
  std::unique_ptr<ChildProcess> server_;
};

}  // namespace longwire::test
