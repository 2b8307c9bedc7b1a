#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <string>

namespace longwire {

/// How many peers may be at the door. From its connection to its first word a client has as long as a crowd
/// takes for `silent` connections: on one machine some 30 microseconds each, while a busy scheduler may keep
/// a client from its first word for ten milliseconds. A silent peer costs 10 to 15 KiB, one in TLS ten
/// times that.
struct CandidateLimits {
  struct Crowd {
    std::size_t total, per_host;
  };
  Crowd silent{1024, 512};
  Crowd exchanging{64, 32};
};

/// Peers that have not proved themselves, oldest first, and the limits on how many there may be. Those that
/// did not say hello yet and those in the exchange are limited each for itself, so that a crowd of silent
/// peers does not push out one that is proving itself, and one that dawdles does not keep newcomers out.
class Candidates {
  enum State { kSilent, kExchanging };
  using Counts = std::array<std::size_t, 2>;  ///< by state, of those that are open
  struct Host {
    Counts open{};
    std::size_t entries = 0;  ///< with those that were closed and have not left
  };
  using Hosts = std::map<std::string, Host>;
  struct Entry {
    std::function<void()> close;  ///< empty once it was called
    Hosts::iterator host;
    State state = kSilent;
  };
  using Entries = std::list<Entry>;

 public:
  /// A peer's place in the list, for as long as this lives; the list must outlive it.
  class Place {
   public:
    /// `close` ends the connection, and with it the handshake; it is called at most once. At a limit the
    /// oldest connection of the host, or of the host with the most, is closed for this one.
    Place(Candidates& candidates, std::function<void()> close, const std::string& host);
    Place(const Place&) = delete;
    ~Place();
    /// The peer said hello. Closes another at a limit, as the constructor does.
    void Spoke();
    /// Closes the connection unless that was done.
    void Close();
    /// Neither pushed out nor closed in another way.
    bool open() const { return static_cast<bool>(entry_->close); }
    const std::string& host() const { return entry_->host->first; }

   private:
    Candidates& candidates_;
    Entries::iterator entry_;
  };

  explicit Candidates(CandidateLimits limits = {}) : limits_(limits) {}
  Candidates(const Candidates&) = delete;

  void CloseAll();
  std::size_t size() const { return entries_.size(); }

 private:
  void PushOut(Hosts::const_iterator newcomer, State state);
  void CountIn(Entry& entry, State state);
  void CountOut(const Entry& entry);
  void Close(Entry& entry);

  CandidateLimits limits_;
  Hosts hosts_;
  Counts open_{};  ///< over all hosts
  Entries entries_;
};

}  // namespace longwire
