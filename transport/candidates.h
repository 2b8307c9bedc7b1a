#pragma once

#include <cstddef>
#include <list>
#include <string>

#include "transport/stream.h"

namespace longwire {

/// Peers that have not proved themselves, oldest first, and the limits on how many there may be.
class Candidates {
 public:
  struct Entry {
    Stream* stream = nullptr;
    std::string host;
  };
  using Place = std::list<Entry>::iterator;

  Candidates(std::size_t total, std::size_t per_host) : total_(total), per_host_(per_host) {}

  /// `stream` must stay until Remove(). At a limit the oldest stream it concerns is closed, which ends its
  /// handshake; it leaves the list then or later.
  Place Add(Stream* stream, std::string host);
  void Remove(Place place) { entries_.erase(place); }
  void CloseAll();
  std::size_t size() const { return entries_.size(); }

 private:
  void CloseOldest(const std::string* host);

  std::size_t total_, per_host_;
  std::list<Entry> entries_;
};

}  // namespace longwire
