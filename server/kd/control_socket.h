#pragma once

#include <chrono>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/kd/kd_service.h"
#include "transport/acceptor.h"
#include "transport/listener.h"

namespace longwire {

/// How `kdsrv --status` and `--release` reach the running servers of this user: a local socket of each server
/// in the directory of the user's pipes. One line of text asks, text answers, end of stream.
class ControlSocket {
 public:
  ControlSocket(Executor executor, KdService& service);
  ~ControlSocket();

  /// Binds `.kdsrv-PID.control`. A server works without it, so the caller may go on after an error.
  /// `listener` is what is shown of the server and must live until Close().
  Result<void> Bind(const Listener& listener);
  Awaitable<void> Run();
  void Close();

 private:
  Awaitable<void> Answer(std::unique_ptr<Stream> stream);

  Executor executor_;
  KdService& service_;
  const Listener* listener_ = nullptr;
  std::unique_ptr<Acceptor> acceptor_;
};

/// What `--status` shows of one server.
struct ServerReport {
  int pid = 0;
  std::string endpoint;  ///< FormatEndpoint(), password masked
  std::string state;     ///< Listener::state()
  std::optional<std::chrono::milliseconds> next_attempt;
  std::vector<LinkReport> links;
};

/// Lines for people, or one JSON object.
std::string FormatStatus(const ServerReport& report, bool json);

/// Asks every running server of this user. They return the exit code of the program.
int PrintStatus(bool json, std::ostream& out);
int AskRelease(const std::string& link, std::ostream& out);

}  // namespace longwire
