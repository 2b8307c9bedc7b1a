#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <string>

namespace longwire {

/// How many peers may be unproved at a time. From its connection to its hello a client has as long as a crowd
/// takes for this many connections: on one machine some 30 microseconds each, while a busy scheduler may keep
/// a client from its first byte for ten milliseconds.
struct CandidateLimits {
  std::size_t total = 512;
  std::size_t per_host = 256;
};

/// Peers that have not proved themselves, oldest first, and the limits on how many there may be. Those that
/// did not say hello yet and those in the exchange are limited each for itself, so that a crowd of silent
/// peers does not push out one that is proving itself, and one that dawdles does not keep newcomers out.
class Candidates {
  struct Host {
    std::array<std::size_t, 2> open{};  ///< the silent, and those that said hello
    std::size_t entries = 0;            ///< with those that were closed and have not left
  };
  using Hosts = std::map<std::string, Host>;

 public:
  class Entry {
   public:
    /// Neither pushed out nor closed in another way.
    bool open() const { return static_cast<bool>(close_); }
    const std::string& host() const { return host_->first; }

   private:
    friend class Candidates;
    std::function<void()> close_;
    Hosts::iterator host_;
    bool spoke_ = false;
  };
  using Place = std::list<Entry>::iterator;

  explicit Candidates(CandidateLimits limits = {}) : limits_(limits) {}
  Candidates(const Candidates&) = delete;

  /// `close` ends the connection, and with it the handshake; it is called at most once, and not after
  /// Remove(). At a limit the oldest connection of the host, or of the host with the most, is closed; it
  /// leaves the list then or later.
  Place Add(std::function<void()> close, const std::string& host);
  /// The peer said hello. Closes another at a limit, as Add() does.
  void Spoke(Place place);
  /// Closes the connection unless that was done.
  void Close(Place place);
  void Remove(Place place);
  void CloseAll();
  std::size_t size() const { return entries_.size(); }

 private:
  void MakeRoom(Hosts::const_iterator host, bool spoke);
  void CountOut(const Entry& entry);

  CandidateLimits limits_;
  Hosts hosts_;
  std::array<std::size_t, 2> open_{};  ///< over all hosts
  std::list<Entry> entries_;
};

}  // namespace longwire
