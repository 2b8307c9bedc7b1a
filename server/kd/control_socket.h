#pragma once

#include <iosfwd>
#include <memory>
#include <string>

#include "server/kd/kd_service.h"
#include "transport/acceptor.h"

namespace longwire {

/// How `kdsrv --status` and `--release` reach the running servers of this user: a local socket of each server
/// in the directory of the user's pipes. One line of text asks, text answers, end of stream.
class ControlSocket {
 public:
  ControlSocket(Executor executor, KdService& service);
  ~ControlSocket();

  /// Binds `.kdsrv-PID.control`. A server works without it, so the caller may go on after an error.
  Result<void> Bind();
  Awaitable<void> Run();
  void Close();

 private:
  Awaitable<void> Answer(std::unique_ptr<Stream> stream);

  Executor executor_;
  KdService& service_;
  std::unique_ptr<Acceptor> acceptor_;
};

/// A listing for people, or one JSON array.
std::string FormatStatus(const std::vector<LinkReport>& reports, bool json);

/// Asks every running server of this user. They return the exit code of the program.
int PrintStatus(bool json, std::ostream& out);
int AskRelease(const std::string& link, std::ostream& out);

}  // namespace longwire
