#include "server/kd/kd_line.h"

#include <algorithm>
#include <utility>

namespace longwire {
namespace {
constexpr std::size_t kMaxPosted = 16;
}

KdLine::Send::~Send() {
  if (line_.active_ == this) line_.active_ = nullptr;
  std::erase(line_.queue_, this);
}

void KdLine::Send::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  line_.queue_.push_back(this);
  line_.StartNext();
}

KdLine::Wait::~Wait() {
  if (line_.wait_ == this) line_.wait_ = nullptr;
}

void KdLine::Wait::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  line_.wait_ = this;
}

void KdLine::Receive(kd::TimePoint now, kd::ByteView bytes) {
  now_ = now;
  machine_.Receive(now, bytes);
  Process();
}

void KdLine::Tick(kd::TimePoint now) {
  now_ = now;
  machine_.Tick(now);
  Process();
  if (wait_ != nullptr && now >= wait_->deadline_) {
    FinishWait(Error{Errc::kTimedOut, "the target did not report in time"});
    Process();
  }
}

std::optional<kd::TimePoint> KdLine::Deadline() const {
  auto deadline = machine_.Deadline();
  if (wait_ != nullptr && (!deadline || wait_->deadline_ < *deadline)) deadline = wait_->deadline_;
  return deadline;
}

void KdLine::Post(kd::PacketType type, kd::Bytes payload) {
  if (posted_.size() >= kMaxPosted) return;
  posted_.push_back({type, std::move(payload)});
  StartNext();
}

void KdLine::Attach(kd::LinkMachine::AttachMode mode) {
  machine_.Attach(now_, mode);
  Process();
}

void KdLine::BreakIn() { machine_.BreakIn(now_); }

void KdLine::Reset() {
  machine_.Reset(now_);
  Process();
}

void KdLine::Reopen() {
  posted_.clear();
  machine_.Reopen();
  machine_.TakeEvents();
  machine_.TakeOutput();
  in_flight_ = InFlight::kNothing;
}

void KdLine::Process() {
  for (;;) {
    std::vector<kd::LinkEvent> events = machine_.TakeEvents();
    if (events.empty()) break;
    for (auto& event : events) Dispatch(std::move(event));
  }
  StartNext();
}

void KdLine::Dispatch(kd::LinkEvent event) {
  using Kind = kd::LinkEvent::Kind;
  switch (event.kind) {
    case Kind::kDataReceived:
      if (event.type != kd::PacketType::kStateChange64) {
        owner_.OnPacket(event.type, std::move(event.payload));
      } else if (wait_ != nullptr && wait_->for_state_change_) {
        FinishWait(std::move(event.payload));
      } else {
        owner_.OnStateChange(std::move(event.payload));
      }
      break;
    case Kind::kRequestReply:
      ++exchanges_;
      Complete(std::move(event.payload));
      break;
    case Kind::kAcknowledged: Complete(kd::Bytes{}); break;
    case Kind::kRequestFailed: Complete(std::move(event.error)); break;
    case Kind::kSynchronized: owner_.OnSynchronized(); break;
    case Kind::kTargetRestarted: owner_.OnRestarted(); break;
    case Kind::kLinkReset: break;  // the state change that follows says what is to be done
    case Kind::kLinkLost: owner_.OnLost(event.error); break;
    case Kind::kDropped: break;
  }
}

void KdLine::StartNext() {
  while (in_flight_ == InFlight::kNothing && machine_.CanSend()) {
    if (!posted_.empty()) {
      Posted next = std::move(posted_.front());
      posted_.pop_front();
      if (machine_.SendData(now_, next.type, std::move(next.payload))) in_flight_ = InFlight::kPost;
      continue;
    }
    if (queue_.empty()) return;
    Send* send = queue_.front();
    queue_.pop_front();
    in_flight_ = InFlight::kSend;
    active_ = send;
    const Result<void> sent =
        send->shape_ == Send::Shape::kRequest
            ? machine_.SendRequest(now_, std::move(send->payload_), send->reply_timeout_)
            : machine_.SendNoReply(now_, std::move(send->payload_));
    if (!sent) Complete(sent.error());
  }
}

void KdLine::Complete(Result<kd::Bytes> result) {
  in_flight_ = InFlight::kNothing;
  Send* send = std::exchange(active_, nullptr);
  if (send == nullptr) return;
  send->result_ = std::move(result);
  send->waiter_.resume();
}

void KdLine::FinishWait(Result<kd::Bytes> result) {
  Wait* wait = std::exchange(wait_, nullptr);
  wait->result_ = std::move(result);
  wait->waiter_.resume();
}

}  // namespace longwire
