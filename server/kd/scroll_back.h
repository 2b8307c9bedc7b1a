#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "proto/rpc/messages.h"

namespace longwire {

/// What a target printed lately, for clients that come later. A ring of bytes.
class ScrollBack {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kDefaultBytes = 256u << 10;

  explicit ScrollBack(std::size_t capacity = kDefaultBytes) : capacity_(capacity) {}

  void Append(TimePoint now, const rpc::Output& output);
  /// The last `bytes` bytes of what was printed at `since` or later, in order, in pieces of at most 64 KiB.
  /// The first one says what is missing before it.
  std::vector<rpc::Output> Last(std::uint64_t bytes, TimePoint since) const;
  std::size_t size() const { return size_; }

 private:
  struct Piece {
    TimePoint when;
    std::uint32_t processor = 0;
    std::string text;
  };
  const std::size_t capacity_;
  std::deque<Piece> pieces_;
  std::size_t size_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace longwire
