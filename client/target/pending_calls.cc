#include "client/target/pending_calls.h"

#include <algorithm>
#include <utility>

namespace longwire {

std::uint64_t PendingCalls::Add() {
  std::uint64_t id = next_id_++;
  Call& call = calls_[id];
  call.place = chain_taken_ + 1;
  longest_chain_ = std::max(longest_chain_, call.place);
  return id;
}

bool PendingCalls::Complete(std::uint64_t id, Result<Reply> reply) {
  auto found = calls_.find(id);
  if (found == calls_.end() || found->second.reply) return false;
  found->second.reply.emplace(std::move(reply));
  return true;
}

bool PendingCalls::waiting(std::uint64_t id) const {
  auto found = calls_.find(id);
  return found != calls_.end() && !found->second.reply;
}

std::optional<Result<Reply>> PendingCalls::Take(std::uint64_t id) {
  auto found = calls_.find(id);
  if (found == calls_.end()) return Result<Reply>(Error{Errc::kInternal, "no such pending request"});
  if (!found->second.reply) return std::nullopt;
  chain_taken_ = std::max(chain_taken_, found->second.place);
  std::optional<Result<Reply>> reply = std::move(found->second.reply);
  calls_.erase(found);
  return reply;
}

void PendingCalls::Abandon(std::uint64_t id) { calls_.erase(id); }

void PendingCalls::FailAll(const Error& error) {
  for (auto& [id, call] : calls_) {
    if (!call.reply) call.reply.emplace(error);
  }
}

}  // namespace longwire
