#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "proto/error.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// The answer to one request.
struct Reply {
  // Not an aggregate: one could be made from an Error alone, and Result<Reply> could not tell which is meant.
  Reply(rpc::Answer from, std::vector<std::byte> bytes) : answer(std::move(from)), bulk(std::move(bytes)) {}

  rpc::Answer answer;
  std::vector<std::byte> bulk;
};

/// Matches responses to requests and counts round trips. Plain data: no I/O, no clock, no lock; the owner
/// serializes.
///
///   Add -> waiting -> Complete -> answered -> Take
///             \-> Abandon: nobody waits any more, a late answer is dropped
class PendingCalls {
 public:
  /// A new request; its id is never used again. Its place in the chain is one behind the answers taken so
  /// far.
  std::uint64_t Add();
  /// False: no such request, or nobody waits for it.
  bool Complete(std::uint64_t id, Result<Reply> reply);
  bool waiting(std::uint64_t id) const;
  /// The answer, once it is there; the request is forgotten then. An unknown id gives kInternal.
  std::optional<Result<Reply>> Take(std::uint64_t id);
  void Abandon(std::uint64_t id);
  /// Ends every request that still waits.
  void FailAll(const Error& error);

  std::size_t size() const { return calls_.size(); }
  std::uint64_t requests() const { return next_id_ - 1; }
  /// Length of the longest chain of requests of which each was sent after the answer of the one before was
  /// used.
  std::uint64_t round_trips() const { return longest_chain_; }

 private:
  struct Call {
    std::uint64_t place = 0;  ///< in its chain, from 1
    std::optional<Result<Reply>> reply;
  };
  std::map<std::uint64_t, Call> calls_;
  std::uint64_t next_id_ = 1;
  std::uint64_t chain_taken_ = 0, longest_chain_ = 0;
};

}  // namespace longwire
