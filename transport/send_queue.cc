#include "transport/send_queue.h"

#include <utility>

namespace longwire {
namespace {

/// Enough for one segment offload, and short enough that an urgent frame behind a batch does not wait long.
constexpr std::size_t kBatchBytes = 64u << 10;
/// Above this a bulk part is written from where it is; below, copying is cheaper than a second buffer.
constexpr std::size_t kCopiedBulkBytes = 16u << 10;

}  // namespace

void SendQueue::Push(Frame frame, bool urgent) {
  bytes_ += frame.head.size() + frame.bulk.size();
  (urgent ? urgent_ : normal_).push_back(std::move(frame));
}

void SendQueue::Take(Batch& batch) {
  while (!empty() && batch.head.size() < kBatchBytes && batch.body.empty()) {
    std::deque<Frame>& lane = urgent_.empty() ? normal_ : urgent_;
    Frame& frame = lane.front();
    bytes_ -= frame.head.size() + frame.bulk.size();
    if (batch.head.empty()) {
      batch.head.swap(frame.head);
    } else {
      batch.head.insert(batch.head.end(), frame.head.begin(), frame.head.end());
    }
    if (frame.bulk.size() > kCopiedBulkBytes) {
      batch.body = std::move(frame.bulk);
    } else {
      batch.head.insert(batch.head.end(), frame.bulk.begin(), frame.bulk.end());
    }
    lane.pop_front();
  }
}

void SendQueue::Clear() {
  urgent_.clear();
  normal_.clear();
  bytes_ = 0;
}

}  // namespace longwire
