#pragma once

#include <sys/types.h>

#include <string>
#include <thread>

namespace longwire::test {

/// The real kdsrv on a loopback port of its own. Dies with this object.
class KdsrvProcess {
 public:
  /// `program`: path of kdsrv. `password`: empty for a server without one. `state`: directory of its
  /// journals. port() is 0 when it did not come up.
  explicit KdsrvProcess(const std::string& program, const std::string& password = "",
                        const std::string& state = "none");
  KdsrvProcess(const KdsrvProcess&) = delete;
  KdsrvProcess& operator=(const KdsrvProcess&) = delete;
  ~KdsrvProcess();

  int port() const { return port_; }
  pid_t pid() const { return pid_; }
  void Signal(int number) const;
  /// Until it has ended: its exit code, or -1 for a signal.
  int Wait();
  /// The argument of `-k` that reaches `link` through this server.
  std::string KernelStringFor(const std::string& link) const;

 private:
  std::string password_;
  pid_t pid_ = -1;
  int port_ = 0;
  std::thread drain_;
};

}  // namespace longwire::test
