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
/// limits output is dropped visibly, oldest first; then the oldest event of any kind. Plain data, no lock.
class EventQueue {
 public:
  static constexpr std::size_t kMaxOutputBytes = 16u << 20;
  static constexpr std::size_t kMaxEvents = 65'536;

  void Push(rpc::Event event);
  /// The oldest event; nullopt when there is none.
  std::optional<rpc::Event> Pop();
  bool empty() const { return events_.empty(); }
  std::size_t size() const { return events_.size(); }

 private:
  void DropOldest();

  std::deque<rpc::Event> events_;
  std::size_t output_bytes_ = 0;
};

}  // namespace longwire
