// How the link machine finds out whether a target is there (kd-protocol.md 5.1).
#include <algorithm>

#include "proto/kd/link_machine.h"
#include "proto/shared_moment.h"

namespace longwire::kd {
namespace {

constexpr std::chrono::milliseconds kPatientStep{500};

}  // namespace

void LinkMachine::Attach(TimePoint now, AttachMode mode) {
  const bool reset = mode == AttachMode::kReset;
  // The state change wanted may be one that was delivered before.
  delivered_.reset();
  rx_known_ = rx_known_ && !Kdnet();
  attach_ = Attachment{mode, reset, reset ? now : now + timers_.listen, std::nullopt};
  if (timers_.attach_give_up) attach_->give_up = now + *timers_.attach_give_up;
}

void LinkMachine::TickAttach(TimePoint now) {
  if (!attach_) return;
  if (attach_->give_up && now >= *attach_->give_up) {
    attach_.reset();
    events_.push_back(
        {LinkEvent::Kind::kLinkLost,
         PacketType::kUnused,
         {},
         {Errc::kTargetOffline, "no target answered in time; check that it was started with debugging on"}});
    return;
  }
  if (attach_->mode == AttachMode::kListen || now < attach_->deadline) return;
  // While something is in flight (the answer to a prompt of a booting target) the target is alive and its
  // turn has come.
  if (outstanding_ || resetting_) {
    attach_->deadline = now + timers_.alternation;
    return;
  }
  attach_->deadline = now + AttachInterval();
  // Many links wait for targets that are switched off, and none of them is in a hurry any more.
  if (attach_->unanswered >= kEagerTurns) attach_->deadline = SharedMoment(attach_->deadline, kPatientStep);
  ++attach_->unanswered;
  if (attach_->reset_next) {
    SendReset(now);
  } else {
    WriteBreakIn();
  }
  attach_->reset_next = !attach_->reset_next;
}

/// A target may be switched off for days, and many links wait for theirs.
Duration LinkMachine::AttachInterval() const {
  const Duration usual = timers_.alternation;
  const int factor = 1 << std::min(attach_->unanswered / kEagerTurns, 2);
  return std::min<Duration>(usual * factor, std::max<Duration>(usual, kRarestTurn));
}

/// Somebody is there, or is to be there at last.
void LinkMachine::AttachEagerly(TimePoint now) {
  if (!attach_ || attach_->unanswered == 0) return;
  attach_->unanswered = 0;
  attach_->deadline = std::min(attach_->deadline, now + timers_.alternation);
}

}  // namespace longwire::kd
