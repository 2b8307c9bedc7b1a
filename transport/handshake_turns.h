#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>

namespace longwire {

/// How many TLS handshakes strangers may cause; each costs the server a millisecond or two of processor time.
struct HandshakeLimits {
  unsigned per_second = 100, at_once = 100;          ///< of everybody
  unsigned host_per_second = 10, host_at_once = 30;  ///< of one address
};

/// Whose TLS handshake is done next. What exceeds the limits waits: first comes whose address had the fewest
/// turns in the last minute, then whoever came last, because an attacker has many addresses and connections
/// and an honest client one that is new. Who waits is bounded by the caller. Time is an argument.
class HandshakeTurns {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Ticket = std::uint64_t;

  explicit HandshakeTurns(const HandshakeLimits& limits) : limits_(limits) {}

  Ticket Join(std::string host);
  /// No longer waits; it may have had its turn.
  void Leave(Ticket ticket);
  /// Who may begin now, at most one for each call; it no longer waits.
  std::optional<Ticket> Next(Time now);
  /// When Next() has to be asked again; Time::max() while nobody waits.
  Time wake(Time now) const;
  /// The address turned out to be a client's: its turns are forgotten.
  void Proved(const std::string& host) { hosts_.erase(host); }

  std::size_t waiting() const { return waiting_.size(); }
  std::size_t hosts() const { return hosts_.size(); }  ///< remembered
  static constexpr std::size_t kMostHosts = 4096;

 private:
  /// As many as `at_once`, refilled at `per_second`: kept as the time when it is full again.
  struct Bucket {
    Time full_at{};
    Time ready(unsigned per_second, unsigned at_once) const;  ///< when the next may be taken
    void Take(Time now, unsigned per_second);
  };
  struct Host {
    Bucket bucket;
    Time calm_at{};  ///< each turn moves it on: how busy the address was of late
  };
  struct Waiter {
    Ticket ticket;
    std::string host;
  };
  Time HostReady(const std::string& host) const;
  Time CalmAt(const std::string& host, Time now) const;
  void Note(const std::string& host, Time now);

  HandshakeLimits limits_;
  Bucket all_;
  std::map<std::string, Host> hosts_;
  Time sweep_at_{};            ///< when those that are calm again are forgotten
  std::list<Waiter> waiting_;  ///< in the order they came
  Ticket last_ = 0;
};

}  // namespace longwire
