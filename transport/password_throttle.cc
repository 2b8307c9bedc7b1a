#include "transport/password_throttle.h"

#include <algorithm>

namespace longwire {
namespace {

using std::chrono::seconds;

constexpr seconds kMemory{60};
constexpr seconds kLongestPenalty{30}, kLongestWait{60};
constexpr std::size_t kFreeFailures = 3;
/// As many clients of one machine may connect at the same time while none of them failed.
constexpr std::size_t kFreePending = 16;
constexpr std::size_t kMaximumFailures = 32, kMaximumAddresses = 4096;

seconds Penalty(std::size_t level) {
  if (level < kFreeFailures) return seconds(0);
  const std::size_t doublings = std::min<std::size_t>(level - kFreeFailures, 5);
  return std::min(seconds(1 << doublings), kLongestPenalty);
}

}  // namespace

void PasswordThrottle::Forget(Time now) {
  for (auto entry = addresses_.begin(); entry != addresses_.end();) {
    History& history = entry->second;
    std::erase_if(history.failures, [now](Time failed) { return now - failed >= kMemory; });
    const bool idle = history.failures.empty() && history.pending == 0;
    entry = idle ? addresses_.erase(entry) : std::next(entry);
  }
}

/// Who has thousands of addresses is not slowed by counting each of them; shutting out new ones would only
/// punish everybody else.
void PasswordThrottle::ForgetOldest() {
  const auto age = [](const History& history) {
    return history.pending > 0 ? Time::max() : history.failures.back();
  };
  const auto oldest =
      std::min_element(addresses_.begin(), addresses_.end(),
                       [&](const auto& a, const auto& b) { return age(a.second) < age(b.second); });
  if (oldest->second.pending == 0) addresses_.erase(oldest);
}

std::optional<std::chrono::milliseconds> PasswordThrottle::Begin(const std::string& address, Time now) {
  Forget(now);
  if (addresses_.size() >= kMaximumAddresses && !addresses_.contains(address)) ForgetOldest();
  History& history = addresses_[address];
  const std::size_t crowd = history.pending > kFreePending ? history.pending - kFreePending : 0;
  const std::size_t level = history.failures.empty() ? crowd : history.failures.size() + history.pending;
  const seconds penalty = Penalty(level);
  const Time start = penalty == seconds(0) ? now : std::max(now, history.last_start) + penalty;
  if (start - now > kLongestWait) return std::nullopt;
  history.last_start = start;
  ++history.pending;
  return std::chrono::duration_cast<std::chrono::milliseconds>(start - now);
}

void PasswordThrottle::End(const std::string& address, Time now, bool failed) {
  History& history = addresses_[address];
  if (history.pending > 0) --history.pending;
  if (failed && history.failures.size() < kMaximumFailures) history.failures.push_back(now);
  Forget(now);
}

std::size_t PasswordThrottle::failures(const std::string& address) const {
  const auto found = addresses_.find(address);
  return found == addresses_.end() ? 0 : found->second.failures.size();
}

}  // namespace longwire
