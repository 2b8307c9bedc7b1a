#pragma once

#include <cstdint>
#include <deque>

#include "proto/rpc/messages.h"

namespace longwire {

/// The latest answers of one session, for requests that are sent again. Answers to requests that may change
/// something are all kept for as long as a client can still wait for them: it has at most half as many
/// requests in flight. Answers to others are kept while they are few and small; those requests may run again.
class AnswerRecord {
 public:
  static constexpr std::size_t kChanges = 2048;
  static constexpr std::size_t kReads = 64;
  static constexpr std::size_t kReadBytes = 1u << 20;

  /// `changes`: the request may not be carried out a second time.
  void Keep(const rpc::Envelope& answer, bool changes);
  /// Null if it is not kept.
  const rpc::Envelope* Find(std::uint64_t id) const;

 private:
  std::deque<rpc::Envelope> changes_, reads_;
  std::size_t read_bytes_ = 0;
};

}  // namespace longwire
