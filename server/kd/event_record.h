#pragma once

#include <cstdint>
#include <deque>

#include "proto/rpc/messages.h"

namespace longwire {

/// The newest events of one session, numbered, so that a client which lost its connection can be told what it
/// missed. Bounded: debug output goes first, with a mark of its size, then whatever is oldest.
class EventRecord {
 public:
  struct Bounds {
    std::size_t events = 0, bytes = 0;
  };
  /// An observer: of many, each costs as much.
  static constexpr Bounds kWatching{4096, 2u << 20};
  /// The driver: what a fast target prints until the loss of a silent connection is noticed.
  static constexpr Bounds kDriving{16'384, 8u << 20};
  /// A driver that is away: a minute of a target that prints without pause.
  static constexpr Bounds kAway{65'536, 32u << 20};

  struct Numbered {
    std::uint64_t number = 0;
    rpc::Event event;
  };

  /// From now on; what is kept already stays until the next Append().
  void SetBounds(Bounds bounds) { bounds_ = bounds; }
  /// The number of the event in the session.
  std::uint64_t Append(rpc::Event event);
  std::uint64_t last() const { return last_; }
  /// The first event that After(seen) tells, or would tell: more than seen + 1 if older ones are gone.
  std::uint64_t NextAfter(std::uint64_t seen) const;
  /// What is kept of the events above `seen`, and a mark for the output that was dropped behind them.
  std::deque<Numbered> After(std::uint64_t seen);
  /// Numbers begin anew behind `seen`, for a session whose former numbers are not known any more.
  void Rebase(std::uint64_t seen);

 private:
  /// Output that is gone: one entry for each, the oldest ones merged above kMaxDropped.
  struct Dropped {
    std::uint64_t number = 0, bytes = 0;
  };
  static constexpr std::size_t kMaxDropped = 65'536;

  void Trim();
  void NoteDropped(std::uint64_t number, std::uint64_t bytes);

  Bounds bounds_ = kWatching;
  std::deque<Numbered> events_;
  std::size_t bytes_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t lost_through_ = 0;  ///< number of the newest event that was dropped and was no output
  std::deque<Dropped> dropped_;     ///< by number
};

}  // namespace longwire
