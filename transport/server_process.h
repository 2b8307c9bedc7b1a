#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace longwire {

/// What tells a process from a later one with the same id, and whose it is.
struct ProcessIdentity {
  std::uint64_t start_time = 0;  ///< clock ticks since boot (field 22 of /proc/PID/stat)
  uid_t user = 0;                ///< effective
  bool ended = false;            ///< only its exit status is left, for a parent that has not asked yet
};

/// nullopt if there is no such process, or if /proc hides it from this user.
std::optional<ProcessIdentity> IdentifyProcess(pid_t pid);
/// True if a process has this id, even one that /proc hides.
bool ProcessExists(pid_t pid);

}  // namespace longwire
