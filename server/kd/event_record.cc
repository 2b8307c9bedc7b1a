#include "server/kd/event_record.h"

#include <algorithm>
#include <utility>

namespace longwire {
namespace {

std::size_t SizeOf(const rpc::Event& event) {
  std::size_t size = sizeof(EventRecord::Numbered);
  if (const auto* output = std::get_if<rpc::Output>(&event)) size += output->text.size();
  if (const auto* stop = std::get_if<rpc::StopEvent>(&event)) {
    size += stop->context.size() + stop->command.size() + stop->breakpoints.size() * 8;
    for (const auto& chunk : stop->memory) size += chunk.bytes.size();
  }
  if (const auto* changed = std::get_if<rpc::LinkChanged>(&event)) {
    size += changed->text.size();
    if (changed->description) size += changed->description->debugger_data.size();
  }
  if (const auto* prompt = std::get_if<rpc::PromptRequested>(&event)) size += prompt->text.size();
  if (const auto* module = std::get_if<rpc::ModuleChanged>(&event)) size += module->change.path.size();
  if (const auto* file = std::get_if<rpc::FileRequested>(&event)) size += file->name.size();
  return size;
}

bool IsOutput(const EventRecord::Numbered& one) { return std::holds_alternative<rpc::Output>(one.event); }

}  // namespace

std::uint64_t EventRecord::Append(rpc::Event event) {
  if (auto* output = std::get_if<rpc::Output>(&event)) output->skipped += std::exchange(skipped_, 0);
  bytes_ += SizeOf(event);
  events_.push_back({++last_, std::move(event)});
  while (!events_.empty() && (events_.size() > kMaxEvents || bytes_ > kMaxBytes)) DropOne();
  return last_;
}

void EventRecord::DropOne() {
  auto victim = std::find_if(events_.begin(), events_.end(), IsOutput);
  if (victim == events_.end()) {
    victim = events_.begin();
    lost_through_ = victim->number;
  } else {
    const auto& output = std::get<rpc::Output>(victim->event);
    const std::uint64_t gone = output.skipped + output.text.size();
    const auto next = std::find_if(victim + 1, events_.end(), IsOutput);
    (next == events_.end() ? skipped_ : std::get<rpc::Output>(next->event).skipped) += gone;
  }
  bytes_ -= SizeOf(victim->event);
  events_.erase(victim);
}

std::uint64_t EventRecord::NextAfter(std::uint64_t seen) const { return std::max(seen, lost_through_) + 1; }

std::deque<EventRecord::Numbered> EventRecord::After(std::uint64_t seen) {
  std::deque<Numbered> missed;
  for (const Numbered& one : events_) {
    if (one.number > seen) missed.push_back(one);
  }
  if (skipped_ != 0) {
    // Not for the record, which may be full of what must not be dropped for it.
    rpc::Output mark;
    mark.skipped = std::exchange(skipped_, 0);
    missed.push_back({++last_, std::move(mark)});
  }
  return missed;
}

void EventRecord::Rebase(std::uint64_t seen) {
  const std::uint64_t first = events_.empty() ? last_ + 1 : events_.front().number;
  const bool gap = lost_through_ != 0;
  const std::uint64_t shift = seen + (gap ? 2 : 1) - first;  // may wrap, and wraps back
  for (Numbered& one : events_) one.number += shift;
  last_ += shift;
  lost_through_ = gap ? seen + 1 : 0;
}

}  // namespace longwire
