#include "transport/candidates.h"

#include <algorithm>
#include <map>

namespace longwire {

/// For one more of `host`.
void Candidates::MakeRoom(const std::string& host, bool spoke) {
  std::size_t open = 0;
  std::map<std::string, std::size_t> crowds;
  for (const Entry& entry : entries_) {
    if (entry.stream == nullptr || entry.spoke != spoke) continue;
    ++open;
    ++crowds[entry.host];
  }
  const auto own = crowds.find(host);
  const bool host_is_full = own != crowds.end() && own->second >= per_host_;
  if (!host_is_full && open < total_) return;
  std::size_t largest = 0;
  for (const auto& [name, count] : crowds) largest = std::max(largest, count);
  const auto oldest = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.stream != nullptr && entry.spoke == spoke &&
           (host_is_full ? entry.host == host : crowds[entry.host] == largest);
  });
  if (oldest == entries_.end()) return;
  oldest->stream->Close();
  oldest->stream = nullptr;
}

Candidates::Place Candidates::Add(Stream* stream, std::string host) {
  MakeRoom(host, false);
  return entries_.insert(entries_.end(), {stream, std::move(host)});
}

void Candidates::Spoke(Place place) {
  if (place->spoke) return;
  MakeRoom(place->host, true);
  place->spoke = true;
  // By the time it spoke, as the others in the exchange.
  entries_.splice(entries_.end(), entries_, place);
}

void Candidates::CloseAll() {
  for (Entry& entry : entries_) {
    if (entry.stream) entry.stream->Close();
    entry.stream = nullptr;
  }
}

}  // namespace longwire
