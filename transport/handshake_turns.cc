#include "transport/handshake_turns.h"

#include <algorithm>
#include <utility>

namespace longwire {
namespace {

/// What one turn adds to the time that an address counts as busy, and the most that it can be.
constexpr std::chrono::seconds kTurnMemory{10}, kLongestMemory{60}, kSweepPause{1};

std::chrono::nanoseconds Interval(unsigned per_second) {
  return std::chrono::nanoseconds(std::chrono::seconds(1)) / per_second;
}

}  // namespace

HandshakeTurns::Time HandshakeTurns::Bucket::ready(unsigned per_second, unsigned at_once) const {
  return full_at - Interval(per_second) * (at_once - 1);
}

void HandshakeTurns::Bucket::Take(Time now, unsigned per_second) {
  full_at = std::max(full_at, now) + Interval(per_second);
}

HandshakeTurns::Ticket HandshakeTurns::Join(std::string host) {
  waiting_.push_back({++last_, std::move(host)});
  return last_;
}

void HandshakeTurns::Leave(Ticket ticket) {
  std::erase_if(waiting_, [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
}

HandshakeTurns::Time HandshakeTurns::HostReady(const std::string& host) const {
  const auto known = hosts_.find(host);
  return known == hosts_.end() ? Time{}
                               : known->second.bucket.ready(limits_.host_per_second, limits_.host_at_once);
}

HandshakeTurns::Time HandshakeTurns::CalmAt(const std::string& host, Time now) const {
  const auto known = hosts_.find(host);
  return known == hosts_.end() ? now : std::max(now, known->second.calm_at);
}

void HandshakeTurns::Note(const std::string& host, Time now) {
  if (now >= sweep_at_) {
    sweep_at_ = now + kSweepPause;
    std::erase_if(hosts_, [now](const auto& entry) {
      return entry.second.calm_at <= now && entry.second.bucket.full_at <= now;
    });
  }
  if (hosts_.size() >= kMostHosts && !hosts_.contains(host)) {
    hosts_.erase(std::min_element(hosts_.begin(), hosts_.end(), [](const auto& a, const auto& b) {
      return a.second.calm_at < b.second.calm_at;
    }));
  }
  Host& noted = hosts_[host];
  noted.bucket.Take(now, limits_.host_per_second);
  noted.calm_at = std::min(std::max(noted.calm_at, now) + kTurnMemory, now + kLongestMemory);
}

std::optional<HandshakeTurns::Ticket> HandshakeTurns::Next(Time now) {
  if (all_.ready(limits_.per_second, limits_.at_once) > now) return std::nullopt;
  auto best = waiting_.end();
  Time best_calm = Time::max();
  for (auto waiter = waiting_.begin(); waiter != waiting_.end(); ++waiter) {
    if (HostReady(waiter->host) > now) continue;
    const Time calm = CalmAt(waiter->host, now);
    if (calm > best_calm) continue;
    best = waiter;
    best_calm = calm;
  }
  if (best == waiting_.end()) return std::nullopt;
  all_.Take(now, limits_.per_second);
  Note(best->host, now);
  const Ticket ticket = best->ticket;
  waiting_.erase(best);
  return ticket;
}

HandshakeTurns::Time HandshakeTurns::wake(Time now) const {
  Time first = Time::max();
  for (const Waiter& waiter : waiting_) first = std::min(first, HostReady(waiter.host));
  if (first == Time::max()) return first;
  return std::max({now, first, all_.ready(limits_.per_second, limits_.at_once)});
}

}  // namespace longwire
