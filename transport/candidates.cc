#include "transport/candidates.h"

#include <algorithm>

namespace longwire {

void Candidates::CloseOldest(const std::string* host) {
  const auto oldest = std::find_if(entries_.begin(), entries_.end(), [host](const Entry& entry) {
    return entry.stream != nullptr && (!host || entry.host == *host);
  });
  if (oldest == entries_.end()) return;
  oldest->stream->Close();
  oldest->stream = nullptr;
}

Candidates::Place Candidates::Add(Stream* stream, std::string host) {
  const auto open = std::count_if(entries_.begin(), entries_.end(), [](const Entry& e) { return e.stream; });
  const auto same = std::count_if(entries_.begin(), entries_.end(),
                                  [&host](const Entry& e) { return e.stream && e.host == host; });
  if (static_cast<std::size_t>(same) >= per_host_) {
    CloseOldest(&host);
  } else if (static_cast<std::size_t>(open) >= total_) {
    CloseOldest(nullptr);
  }
  return entries_.insert(entries_.end(), {stream, std::move(host)});
}

void Candidates::CloseAll() {
  for (Entry& entry : entries_) {
    if (entry.stream) entry.stream->Close();
    entry.stream = nullptr;
  }
}

}  // namespace longwire
