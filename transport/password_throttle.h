#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace longwire {

/// Slows password guesses per address (remote-debugging.md 2.10): from the 4th failure within a minute an
/// attempt waits 1, 2, 4 ... 30 s. Attempts under way count as failures once there was one, so that opening
/// many connections at once gains nothing. Remembers a bounded number of addresses, the latest. Time is an
/// argument.
class PasswordThrottle {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// How long this attempt waits before it is looked at; nullopt: too many wait already, refuse it. After an
  /// answer the caller owes one End().
  std::optional<std::chrono::milliseconds> Begin(const std::string& address, Time now);
  void End(const std::string& address, Time now, bool failed);

  /// Failures of the last minute.
  std::size_t failures(const std::string& address) const;

 private:
  struct History {
    std::vector<Time> failures;
    std::size_t pending = 0;
    Time last_start{};
  };
  void Forget(Time now);
  void ForgetOldest();

  std::map<std::string, History> addresses_;
};

}  // namespace longwire
