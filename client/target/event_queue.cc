#include "client/target/event_queue.h"

#include <algorithm>
#include <utility>

namespace longwire {
namespace {

bool IsOutput(const rpc::Event& event) { return std::holds_alternative<rpc::Output>(event); }

}  // namespace

bool TellsState(const rpc::Event& event) {
  return std::holds_alternative<rpc::StopEvent>(event) || std::holds_alternative<rpc::Resumed>(event) ||
         std::holds_alternative<rpc::LinkChanged>(event) || std::holds_alternative<rpc::DriverChanged>(event);
}

std::optional<rpc::Event> EventQueue::Push(rpc::Event event) {
  if (auto* output = std::get_if<rpc::Output>(&event)) {
    output_bytes_ += output->text.size();
    output->skipped += std::exchange(skipped_, 0);
  }
  events_.push_back(std::move(event));
  while (output_bytes_ > kMaxOutputBytes || events_.size() > kMaxEvents) {
    if (!DropOutput()) return Pop();
  }
  return std::nullopt;
}

std::optional<rpc::Event> EventQueue::Pop() {
  if (events_.empty()) return std::nullopt;
  std::optional<rpc::Event> event(std::move(events_.front()));
  events_.pop_front();
  if (auto* output = std::get_if<rpc::Output>(&*event)) output_bytes_ -= output->text.size();
  return event;
}

bool EventQueue::DropOutput() {
  auto oldest = std::find_if(events_.begin(), events_.end(), IsOutput);
  if (oldest == events_.end()) return false;
  auto& dropped = std::get<rpc::Output>(*oldest);
  const std::uint64_t skipped = dropped.skipped + dropped.text.size();
  output_bytes_ -= dropped.text.size();
  auto next = std::find_if(oldest + 1, events_.end(), IsOutput);
  (next != events_.end() ? std::get<rpc::Output>(*next).skipped : skipped_) += skipped;
  events_.erase(oldest);
  return true;
}

}  // namespace longwire
