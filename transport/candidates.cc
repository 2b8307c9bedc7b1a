#include "transport/candidates.h"

#include <algorithm>
#include <utility>

namespace longwire {

void Candidates::CountIn(Entry& entry, State state) {
  entry.state = state;
  ++open_[state];
  ++entry.host->second.open[state];
}

void Candidates::CountOut(const Entry& entry) {
  --open_[entry.state];
  --entry.host->second.open[entry.state];
}

void Candidates::Close(Entry& entry) {
  if (!entry.close) return;
  CountOut(entry);
  std::exchange(entry.close, nullptr)();
}

/// Who has to go for one more of the host, if anybody. A crowd calls this for each of its connections:
/// nothing here may allocate.
void Candidates::PushOut(Hosts::const_iterator newcomer, State state) {
  const CandidateLimits::Crowd& limit = state == kSilent ? limits_.silent : limits_.exchanging;
  const bool host_is_full = newcomer->second.open[state] >= limit.per_host;
  if (!host_is_full && open_[state] < limit.total) return;
  std::size_t largest = 0;
  for (const auto& [name, host] : hosts_) largest = std::max(largest, host.open[state]);
  const auto oldest = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.close && entry.state == state &&
           (host_is_full ? entry.host == newcomer : entry.host->second.open[state] == largest);
  });
  if (oldest != entries_.end()) Close(*oldest);
}

void Candidates::CloseAll() {
  for (Entry& entry : entries_) Close(entry);
}

Candidates::Place::Place(Candidates& candidates, std::function<void()> close, const std::string& host)
    : candidates_(candidates) {
  const auto at = candidates.hosts_.try_emplace(host).first;
  candidates.PushOut(at, kSilent);
  entry_ = candidates.entries_.insert(candidates.entries_.end(), {std::move(close), at});
  ++at->second.entries;
  candidates.CountIn(*entry_, kSilent);
}

Candidates::Place::~Place() {
  if (open()) candidates_.CountOut(*entry_);
  const auto host = entry_->host;
  candidates_.entries_.erase(entry_);
  if (--host->second.entries == 0) candidates_.hosts_.erase(host);
}

void Candidates::Place::Spoke() {
  if (entry_->state == kExchanging || !open()) return;
  candidates_.PushOut(entry_->host, kExchanging);
  candidates_.CountOut(*entry_);
  candidates_.CountIn(*entry_, kExchanging);
  // By the time it spoke, as the others in the exchange.
  candidates_.entries_.splice(candidates_.entries_.end(), candidates_.entries_, entry_);
}

void Candidates::Place::Close() { candidates_.Close(*entry_); }

}  // namespace longwire
