// What a link writes of itself, for a server that is killed and started again.
#include <algorithm>
#include <utility>

#include "server/kd/kd_link.h"

namespace longwire {

void KdLink::Keep(std::unique_ptr<LinkJournal> journal, JournalEntry template_entry,
                  std::function<void(const Error&)> failed) {
  journal_ = std::move(journal);
  entry_ = std::move(template_entry);
  journal_failed_ = std::move(failed);
}

void KdLink::Inherit(const JournalEntry& entry, Member driver, TimePoint kept_until) {
  driver_ = Holder{std::move(driver), std::chrono::system_clock::now(), std::chrono::steady_clock::now(),
                   kept_until};
  driver_epoch_ = entry.driver_epoch;
  entry_.target = entry.target;
  target_->SetDriver(std::chrono::steady_clock::now(), driver_epoch_, false);
  target_->Inherit(entry.target);
  if (entry.baud == 0) return;
  const Result<void> set = SetBaud(entry.baud);
  static_cast<void>(set);  // a port without a speed
}

void KdLink::EndJournal() {
  if (!journal_) return;
  Write();
  if (target_->Breakpoints().empty()) journal_->Remove();
  journal_.reset();
}

void KdLink::Write() {
  if (!journal_ || closed_) return;
  TargetHeritage& target = entry_.target;
  target.breakpoints = target_->Breakpoints();
  for (const PlacedBreakpoint& one : target.breakpoints)
    target.last_breakpoint_id = std::max(target.last_breakpoint_id, one.id);
  // While it is attached to anew, nobody knows more than before.
  const rpc::TargetState state = target_->state();
  if (state == rpc::TargetState::kHalted || state == rpc::TargetState::kRunning)
    target.halted = state == rpc::TargetState::kHalted;
  if (const auto& stop = target_->stop()) target.stop_counter = stop->stop_counter;
  JournalEntry entry = entry_;
  if (driver_) {
    entry.driver = driver_->name;
    entry.client = driver_->id;
    entry.token = driver_->token;
    entry.keep_ms = driver_->keep_ms;
  }
  entry.driver_epoch = driver_epoch_;
  const Result<void> written = journal_->Write(entry);
  if (written || !journal_failed_) return;
  std::exchange(journal_failed_, nullptr)(written.error());  // said once, tried again each time
}

}  // namespace longwire
