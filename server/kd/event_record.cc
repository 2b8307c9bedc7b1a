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
  bytes_ += SizeOf(event);
  events_.push_back({++last_, std::move(event)});
  Trim();
  return last_;
}

/// In one pass: bounds that became narrower may cost tens of thousands.
void EventRecord::Trim() {
  const auto over = [this](std::size_t count) { return count > bounds_.events || bytes_ > bounds_.bytes; };
  std::size_t count = events_.size();
  auto end = events_.begin();
  for (; end != events_.end() && over(count); ++end) {
    if (!IsOutput(*end)) continue;
    const auto& output = std::get<rpc::Output>(end->event);
    NoteDropped(end->number, output.skipped + output.text.size());
    bytes_ -= SizeOf(end->event);
    --count;
  }
  auto kept = end;
  for (auto at = end; at != events_.begin();) {
    if (IsOutput(*--at)) continue;
    if (--kept != at) *kept = std::move(*at);
  }
  events_.erase(events_.begin(), kept);
  while (!events_.empty() && over(events_.size())) {
    lost_through_ = events_.front().number;
    bytes_ -= SizeOf(events_.front().event);
    events_.pop_front();
  }
}

/// The oldest output is dropped first, so numbers rise.
void EventRecord::NoteDropped(std::uint64_t number, std::uint64_t bytes) {
  dropped_.push_back({number, bytes});
  if (dropped_.size() <= kMaxDropped) return;
  // Somebody who saw the first of the two is told too much; nobody is told too little.
  dropped_[1].bytes += dropped_[0].bytes;
  dropped_.pop_front();
}

std::uint64_t EventRecord::NextAfter(std::uint64_t seen) const { return std::max(seen, lost_through_) + 1; }

std::deque<EventRecord::Numbered> EventRecord::After(std::uint64_t seen) {
  std::deque<Numbered> missed;
  auto gone = std::find_if(dropped_.begin(), dropped_.end(),
                           [seen](const Dropped& one) { return one.number > seen; });
  const auto skipped_before = [&gone, this](std::uint64_t number) {
    std::uint64_t bytes = 0;
    for (; gone != dropped_.end() && gone->number < number; ++gone) bytes += gone->bytes;
    return bytes;
  };
  for (const Numbered& one : events_) {
    if (one.number <= seen) continue;
    missed.push_back(one);
    if (auto* output = std::get_if<rpc::Output>(&missed.back().event))
      output->skipped += skipped_before(one.number);
  }
  if (const std::uint64_t bytes = skipped_before(last_ + 1); bytes != 0) {
    // Not for the record, which may be full of what must not be dropped for it.
    rpc::Output mark;
    mark.skipped = bytes;
    missed.push_back({++last_, std::move(mark)});
  }
  return missed;
}

void EventRecord::Rebase(std::uint64_t seen) {
  const std::uint64_t first = events_.empty() ? last_ + 1 : events_.front().number;
  const bool gap = lost_through_ != 0;
  const std::uint64_t shift = seen + (gap ? 2 : 1) - first;  // may wrap, and wraps back
  for (Numbered& one : events_) one.number += shift;
  for (Dropped& one : dropped_) one.number += shift;
  last_ += shift;
  lost_through_ = gap ? seen + 1 : 0;
}

}  // namespace longwire
