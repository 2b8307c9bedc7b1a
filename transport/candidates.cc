#include "transport/candidates.h"

#include <algorithm>
#include <utility>

namespace longwire {

void Candidates::CountOut(const Entry& entry) {
  --open_[entry.spoke_];
  --entry.host_->second.open[entry.spoke_];
}

/// For one more of `host`. A crowd calls this for each of its connections: nothing here may allocate.
void Candidates::MakeRoom(Hosts::const_iterator host, bool spoke) {
  const bool host_is_full = host->second.open[spoke] >= limits_.per_host;
  if (!host_is_full && open_[spoke] < limits_.total) return;
  std::size_t largest = 0;
  for (const auto& [name, crowd] : hosts_) largest = std::max(largest, crowd.open[spoke]);
  const auto oldest = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.open() && entry.spoke_ == spoke &&
           (host_is_full ? entry.host_ == host : entry.host_->second.open[spoke] == largest);
  });
  if (oldest != entries_.end()) Close(oldest);
}

Candidates::Place Candidates::Add(std::function<void()> close, const std::string& host) {
  const auto at = hosts_.try_emplace(host).first;
  MakeRoom(at, false);
  const Place place = entries_.emplace(entries_.end());
  place->close_ = std::move(close);
  place->host_ = at;
  ++at->second.entries;
  ++at->second.open[false];
  ++open_[false];
  return place;
}

void Candidates::Spoke(Place place) {
  if (place->spoke_ || !place->open()) return;
  MakeRoom(place->host_, true);
  CountOut(*place);
  place->spoke_ = true;
  ++open_[true];
  ++place->host_->second.open[true];
  // By the time it spoke, as the others in the exchange.
  entries_.splice(entries_.end(), entries_, place);
}

void Candidates::Close(Place place) {
  if (!place->open()) return;
  CountOut(*place);
  std::exchange(place->close_, nullptr)();
}

void Candidates::Remove(Place place) {
  if (place->open()) CountOut(*place);
  const auto host = place->host_;
  entries_.erase(place);
  if (--host->second.entries == 0) hosts_.erase(host);
}

void Candidates::CloseAll() {
  for (Place place = entries_.begin(); place != entries_.end(); ++place) Close(place);
}

}  // namespace longwire
