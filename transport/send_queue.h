#pragma once

#include <cstddef>
#include <deque>
#include <vector>

namespace longwire {

/// Encoded frames waiting to be written: two lanes, and the cut of one write.
class SendQueue {
 public:
  struct Frame {
    std::vector<std::byte> head;  ///< frame header and envelope
    std::vector<std::byte> bulk;
  };
  /// What goes out with one write: small frames copied together, then at most one large bulk part left where
  /// it is.
  struct Batch {
    std::vector<std::byte> head, body;
    void Clear() {
      head.clear();
      body.clear();
    }
    std::size_t size() const { return head.size() + body.size(); }
  };

  void Push(Frame frame, bool urgent);
  /// Moves the next frames, urgent ones first, into `batch`, which is empty before.
  void Take(Batch& batch);
  void Clear();
  bool empty() const { return urgent_.empty() && normal_.empty(); }
  std::size_t bytes() const { return bytes_; }

 private:
  std::deque<Frame> urgent_, normal_;
  std::size_t bytes_ = 0;
};

}  // namespace longwire
