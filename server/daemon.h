#pragma once

#include <optional>
#include <string>
#include <utility>

#include "proto/error.h"

namespace longwire {

/// Housekeeping of a server process (remote-debugging.md 3.2, --daemon and --pidfile).

/// A process that goes into the background: the parent waits until the child is ready, and exits 0 then or
/// with the child's exit code when it fails. Make it before any thread or event loop exists.
class Background {
 public:
  static Result<Background> Enter();
  Background() = default;  ///< stays in the foreground
  void Ready();

 private:
  int ready_ = -1;
};

/// A file with the process id, removed on destruction. A file of a process that still runs is kBusy.
class PidFile {
 public:
  static Result<PidFile> Write(const std::string& path);
  PidFile() = default;
  PidFile(PidFile&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  PidFile& operator=(PidFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~PidFile();

 private:
  std::string path_;
};

/// Raises the soft limit on descriptors to what a crowd at the door and all the clients may take
/// (CandidateLimits at the listener and at the service, KdService::kMaxSessions, the links). Where the hard
/// limit is lower: what that means, for the user.
std::optional<std::string> RaiseDescriptorLimit();

/// Readiness notification: sends `state` ("READY=1") as one datagram to $NOTIFY_SOCKET; nothing when it is
/// unset.
void NotifySupervisor(const std::string& state);

}  // namespace longwire
