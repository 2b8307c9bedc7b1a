#pragma once

#include <cstdint>
#include <deque>

#include "proto/rpc/messages.h"

namespace longwire {

/// The newest events of one session, numbered, so that a client which lost its connection can be told what it
/// missed. Bounded: debug output goes first, with a mark of its size, then whatever is oldest.
class EventRecord {
 public:
  static constexpr std::size_t kMaxEvents = 512;
  static constexpr std::size_t kMaxBytes = 1u << 20;

  struct Numbered {
    std::uint64_t number = 0;
    rpc::Event event;
  };

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
  void DropOne();

  std::deque<Numbered> events_;
  std::size_t bytes_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t lost_through_ = 0;  ///< number of the newest event that was dropped and was no output
  std::uint64_t skipped_ = 0;       ///< bytes of output dropped with no output behind them
};

}  // namespace longwire
