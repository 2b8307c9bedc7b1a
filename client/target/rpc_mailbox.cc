#include "client/target/rpc_mailbox.h"

#include <algorithm>
#include <utility>

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

Error Forgotten() {
  return Error{Errc::kClosed, "the server does not know this session any more; the link is opened anew"};
}

}  // namespace

// ---- filled by the RPC thread

void RpcMailbox::SetCapabilities(std::vector<std::string> capabilities) {
  std::lock_guard lock(mutex_);
  capabilities_ = std::move(capabilities);
}

void RpcMailbox::Greeted() {
  std::lock_guard lock(mutex_);
  greeted_ = true;
  wakeup_.Wake();
}

void RpcMailbox::Answer(std::uint64_t id, Result<Reply> reply) {
  std::lock_guard lock(mutex_);
  calls_.Complete(id, std::move(reply));
  wakeup_.Wake();
}

void RpcMailbox::Push(rpc::Event event) {
  std::lock_guard lock(mutex_);
  if (TellsState(event)) state_events_.fetch_add(1, std::memory_order_release);
  const std::optional<rpc::Event> dropped = events_.Push(std::move(event));
  if (dropped) Unsettle(View::kGap);
  // Nobody will look at it any more.
  if (dropped && TellsState(*dropped)) state_events_.fetch_sub(1, std::memory_order_release);
  wakeup_.Wake();
}

void RpcMailbox::Leave(ConnectionNews news, Time since) {
  std::lock_guard lock(mutex_);
  away_since_ = since;
  news_.push_back(std::move(news));
  wakeup_.Wake();
}

void RpcMailbox::Return(View view, ConnectionNews news, Duration away) {
  std::lock_guard lock(mutex_);
  outage_ += away;
  away_since_.reset();
  ++returns_;
  if (view == View::kForgotten) calls_.FailAll(Forgotten());
  if (view != View::kCurrent) Unsettle(view);
  news_.push_back(std::move(news));
  wakeup_.Wake();
}

void RpcMailbox::Fail(Error error) {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(error);
  if (away_since_) outage_ += Clock::now() - *away_since_;
  away_since_.reset();
  calls_.FailAll(*failure_);
  state_events_.fetch_add(1, std::memory_order_release);
  wakeup_.Wake();
}

/// What the engine knows is void once it has looked at everything queued. Under mutex_.
void RpcMailbox::Unsettle(View view) {
  // Renew() settles it once, however often it happened.
  if (view_ == View::kCurrent) state_events_.fetch_add(1, std::memory_order_release);
  if (view_ != View::kForgotten) view_ = view;
}

// ---- taken by the engine's thread

std::optional<Result<void>> RpcMailbox::greeting() const {
  std::lock_guard lock(mutex_);
  if (greeted_) return Result<void>();
  if (failure_) return Result<void>(*failure_);
  return std::nullopt;
}

std::uint64_t RpcMailbox::AddCall(const std::function<void(std::uint64_t id)>& send) {
  std::lock_guard lock(mutex_);
  const std::uint64_t id = calls_.Add();
  if (failure_ || view_ == View::kForgotten) {
    calls_.Complete(id, failure_ ? *failure_ : Forgotten());
  } else {
    send(id);
  }
  return id;
}

bool RpcMailbox::waiting(std::uint64_t id) const {
  std::lock_guard lock(mutex_);
  return calls_.waiting(id);
}

void RpcMailbox::Abandon(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  calls_.Abandon(id);
}

RpcMailbox::CallLook RpcMailbox::LookAtCall(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  return {calls_.Take(id), away_since_.has_value(), returns_};
}

RpcMailbox::EventLook RpcMailbox::LookAtEvents() {
  std::lock_guard lock(mutex_);
  EventLook look;
  look.away = away_since_.has_value();
  if (std::optional<rpc::Event> event = events_.Pop()) {
    look.event.emplace(std::move(event));
  } else if (failure_) {
    look.event.emplace(*failure_);
  } else if (view_ != View::kCurrent) {
    look.event.emplace(std::optional<rpc::Event>());
  }
  return look;
}

std::deque<ConnectionNews> RpcMailbox::TakeNews() {
  std::lock_guard lock(mutex_);
  return std::exchange(news_, {});
}

bool RpcMailbox::Has(std::string_view capability) const {
  std::lock_guard lock(mutex_);
  return std::find(capabilities_.begin(), capabilities_.end(), capability) != capabilities_.end();
}

std::optional<Error> RpcMailbox::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

bool RpcMailbox::away() const {
  std::lock_guard lock(mutex_);
  return away_since_.has_value();
}

RpcMailbox::Duration RpcMailbox::outage() const {
  std::lock_guard lock(mutex_);
  Duration total = outage_;
  if (away_since_) total += Clock::now() - *away_since_;
  return total;
}

RpcMailbox::View RpcMailbox::view() const {
  std::lock_guard lock(mutex_);
  return events_.empty() ? view_ : View::kCurrent;
}

void RpcMailbox::Renew() {
  std::lock_guard lock(mutex_);
  view_ = View::kCurrent;
}

TargetCounters RpcMailbox::counters() const {
  std::lock_guard lock(mutex_);
  TargetCounters counters;
  counters.requests = calls_.requests();
  counters.round_trips = calls_.round_trips();
  return counters;
}

}  // namespace longwire
