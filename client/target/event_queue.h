#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "proto/rpc/messages.h"

namespace longwire {

/// True for events after which what was known of the target's state may be void.
bool TellsState(const rpc::Event& event);

/// Events that wait for the engine, which may be busy for long while the target prints. Bounded: beyond the
/// limits output is dropped, oldest first, and the next output tells how much is missing before it; without
/// any output, the oldest event. Plain data, no lock.
class EventQueue {
 public:
  static constexpr std::size_t kMaxOutputBytes = 16u << 20;
  static constexpr std::size_t kMaxEvents = 65'536;

  /// The event other than output that had to go for this one; its loss must be made up for.
  std::optional<rpc::Event> Push(rpc::Event event);
  /// The oldest event; nullopt when there is none.
  std::optional<rpc::Event> Pop();
  bool empty() const { return events_.empty(); }
  std::size_t size() const { return events_.size(); }

 private:
  /// False: there is no output.
  bool DropOutput();

  std::deque<rpc::Event> events_;
  std::size_t output_bytes_ = 0;
  std::uint64_t skipped_ = 0;  ///< bytes of output dropped, to be told by the next one that comes
};

}  // namespace longwire
