#pragma once

#include <cstddef>
#include <list>
#include <string>

#include "transport/stream.h"

namespace longwire {

/// Peers that have not proved themselves, oldest first, and the limits on how many there may be. Those that
/// did not say hello yet and those in the exchange are limited each for itself, so that a crowd of silent
/// peers does not push out one that is proving itself, and one that dawdles does not keep newcomers out.
class Candidates {
 public:
  struct Entry {
    Stream* stream = nullptr;
    std::string host;
    bool spoke = false;
  };
  using Place = std::list<Entry>::iterator;

  Candidates(std::size_t total, std::size_t per_host) : total_(total), per_host_(per_host) {}

  /// `stream` must stay until Remove(). At a limit the oldest stream of the host, or of the host with the
  /// most, is closed, which ends its handshake; it leaves the list then or later.
  Place Add(Stream* stream, std::string host);
  /// The peer said hello. Closes another at a limit, as Add() does.
  void Spoke(Place place);
  void Remove(Place place) { entries_.erase(place); }
  void CloseAll();
  std::size_t size() const { return entries_.size(); }

 private:
  void MakeRoom(const std::string& host, bool spoke);

  std::size_t total_, per_host_;
  std::list<Entry> entries_;
};

}  // namespace longwire
