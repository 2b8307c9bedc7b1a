// RemoteTarget: opening the link, what events change, coming back after a loss, and roles.
#include <algorithm>
#include <utility>

#include "client/target/remote_target.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;

/// How often a client that waits in line looks whether its turn has come; events end the pause.
constexpr std::chrono::milliseconds kQueuePause{200};

/// What only the driver of a link may ask for.
bool NeedsDriver(const rpc::Request& request) {
  return !(
      std::holds_alternative<rpc::ReadMemory>(request) || std::holds_alternative<rpc::RunPlan>(request) ||
      std::holds_alternative<rpc::GetContext>(request) ||
      std::holds_alternative<rpc::ReadControlSpace>(request) ||
      std::holds_alternative<rpc::GetLinkStatus>(request) || std::holds_alternative<rpc::OpenLink>(request) ||
      std::holds_alternative<rpc::CloseLink>(request) || std::holds_alternative<rpc::EndServer>(request) ||
      std::holds_alternative<rpc::TakeDriver>(request) || std::holds_alternative<rpc::ListClients>(request));
}

Error ComebackEndedByUser() {
  return Error{Errc::kUnreachable,
               "the wait for the driver of the link was ended by Ctrl-C; start kd again to join it"};
}

}  // namespace

std::optional<Error> RemoteTarget::Refusal(const rpc::Request& request) const {
  if (driving_ || !NeedsDriver(request)) return std::nullopt;
  return Error{Errc::kFenced,
               (driver_.empty() ? std::string("nobody drives the target") : driver_ + " drives the target") +
                   " and this kd only watches; .driver /t takes over"};
}

// ---- opening
// ----------------------------------------------------------------------------------------------------

Result<void> RemoteTarget::Open(const rpc::OpenLink& link, const QueueNotice& queued) {
  link_ = link;
  Result<rpc::LinkOpened> opened = AwaitOpening(queued);
  if (!opened) return opened.error();
  TakeOpened(*opened);
  if (opened->stop && state_ == rpc::TargetState::kHalted) EnterStop(*opened->stop);
  return {};
}

/// The answer to OpenLink. One that waits in line takes as long as it takes; what is told meanwhile is kept.
Result<rpc::LinkOpened> RemoteTarget::AwaitOpening(const QueueNotice& queued) {
  while (true) {
    const std::uint64_t call = client_->Send(link_);
    const bool waits = link_.when_busy == rpc::WhenBusy::kQueue;
    while (waits && !client_->Answered(call)) {
      Result<std::optional<rpc::Event>> event = client_->WaitEvent(Clock::now() + kQueuePause);
      if (!event) break;  // Wait() says the same, and takes the request back
      if (!*event) continue;
      if (auto* place = std::get_if<rpc::LinkQueued>(&**event)) {
        if (queued) queued(*place);
      } else {
        told_.push_back({std::move(**event), true, std::nullopt});
      }
    }
    Result<Reply> reply = client_->Wait(call);
    if (!reply) KeepEvents();
    if (!reply && client_->view() == RpcClient::View::kForgotten) {
      // The connection was lost meanwhile, and the server has no session without a link to keep.
      client_->Renew();
      ++events_applied_;
      continue;
    }
    if (!reply) return reply.error();
    auto* opened = std::get_if<rpc::LinkOpened>(&reply->answer);
    if (!opened) return BadAnswer();
    return std::move(*opened);
  }
}

void RemoteTarget::TakeOpened(rpc::LinkOpened& opened) {
  TakeRole(opened.role.value_or(client_->role()) == rpc::Role::kDriver, opened.driver_epoch);
  driver_ = std::move(opened.driver);
  state_ = opened.state;
  description_ = std::move(opened.description);
}

void RemoteTarget::TakeRole(bool drives, std::uint64_t epoch) {
  driving_ = drives;
  if (epoch != 0) driver_epoch_ = epoch;
  if (drives) driven_epoch_ = driver_epoch_;
}

/// Whether this client becomes the driver, which it may not have heard of: the server takes the breakpoints
/// of a former driver out, also our own of an earlier time.
bool RemoteTarget::Uproots(bool drives, std::uint64_t epoch) const {
  return drives && (!driving_ || (epoch != 0 && epoch != driven_epoch_));
}

bool RemoteTarget::RefreshDue() const {
  if (client_->view() != RpcClient::View::kCurrent) return true;
  return refresh_due_ && (!comeback_ || Clock::now() >= comeback_->next);
}

/// The server forgot something: asks for the present state, and queues the events that lead there.
Result<void> RemoteTarget::Refresh() {
  if (client_->view() != RpcClient::View::kCurrent) {
    session_forgotten_ = session_forgotten_ || client_->view() == RpcClient::View::kForgotten;
    refresh_due_ = true;
    comeback_.reset();
    client_->Renew();
    ++events_applied_;
  }
  DropMemory();
  contexts_.clear();
  rpc::OpenLink again = link_;
  again.break_in = false;
  again.scroll_back = 0;
  // Who did not drive does not begin to. One who did is refused if another one drives by now.
  const bool drove = client_->role() == rpc::Role::kDriver;
  again.when_busy = drove ? rpc::WhenBusy::kRefuse : rpc::WhenBusy::kObserve;
  again.watch = !drove;
  Result<rpc::LinkOpened> opened = Ask<rpc::LinkOpened>(again, {}, nullptr);
  KeepEvents();  // what came before the answer is older than what it says
  if (!opened) {
    // Lost once more: the next look begins here again.
    if (client_->view() != RpcClient::View::kCurrent) return {};
    if (opened.error().code == Errc::kCancelled)
      return comeback_ ? EndSession(ComebackEndedByUser()) : opened.error();
    if (TriesAgain(opened.error())) return {};
    Error why = opened.error();
    why.message = "the session is over and the link could not be opened again: " + why.message;
    return EndSession(std::move(why));
  }
  refresh_due_ = false;
  comeback_.reset();
  told_.push_back({{}, false, std::move(*opened), std::exchange(session_forgotten_, false)});
  return {};
}

/// Who only watches opens no link. The driver, whom the server forgot as well, has to be there first.
bool RemoteTarget::TriesAgain(const Error& refused) {
  if (!session_forgotten_ || refused.code != Errc::kNotFound || client_->role() == rpc::Role::kDriver)
    return false;
  const Clock::time_point now = Clock::now();
  if (!comeback_) {
    comeback_.emplace(Comeback{Reconnection(comeback_timing_, now), now});
    rpc::LinkChanged changed;
    changed.text = "nobody has the link open yet; waiting for its driver for " +
                   std::to_string(std::chrono::ceil<std::chrono::seconds>(comeback_timing_.wait).count()) +
                   " s, Ctrl-C ends the wait";
    told_.push_back({std::move(changed), false, std::nullopt});
  }
  const std::optional<std::chrono::milliseconds> pause = comeback_->attempts.NextPause(now);
  if (pause) comeback_->next = now + *pause;
  return pause.has_value();
}

/// Nothing more will come.
Error RemoteTarget::EndSession(Error why) {
  link_closed_ = std::move(why);
  LeaveStop(rpc::TargetState::kOffline);
  return *link_closed_;
}

/// Takes what is queued at the client, which tells of a forgotten session only after that.
void RemoteTarget::KeepEvents() {
  for (auto event = client_->WaitEvent(Clock::now()); event && *event;
       event = client_->WaitEvent(Clock::now())) {
    told_.push_back({std::move(**event), true, std::nullopt});
  }
}

/// Queues the events that lead from the state known to the present one. Stops of different sessions may have
/// the same number.
void RemoteTarget::TellPresentState(rpc::LinkOpened opened, bool renewed) {
  const std::optional<rpc::StopEvent> before = stop_;
  const rpc::TargetState state = opened.state;
  rpc::LinkChanged changed;
  changed.state = state;
  changed.description = opened.description;
  const bool drove = driving_;
  const std::string driver = driver_;
  const std::uint64_t epoch = driven_epoch_;
  const bool drives = opened.role.value_or(client_->role()) == rpc::Role::kDriver;
  if (renewed || Uproots(drives, opened.driver_epoch)) ++renewals_;
  TakeOpened(opened);
  // What was missed of the drivers. It comes last: who looks at it finds the state told.
  if (drove != driving_ || driver != driver_ || (!renewed && epoch != driven_epoch_)) {
    rpc::DriverChanged driver_changed{driver_, driver_epoch_};
    driver_changed.self = driving_;
    told_.push_front({std::move(driver_changed), false, std::nullopt});
  }
  if (state == rpc::TargetState::kHalted && opened.stop) {
    if (!renewed && before && before->stop_counter == opened.stop->stop_counter)
      return EnterStop(*opened.stop);
    told_.push_front({std::move(*opened.stop), false, std::nullopt});
    return;
  }
  told_.push_front({std::move(changed), false, std::nullopt});
  if (before) told_.push_front({rpc::Resumed{before->stop_counter}, false, std::nullopt});
}

// ---- events
// -----------------------------------------------------------------------------------------------------

void RemoteTarget::Apply(const rpc::Event& event) {
  if (auto* stop = std::get_if<rpc::StopEvent>(&event)) {
    EnterStop(*stop);
  } else if (auto* resumed = std::get_if<rpc::Resumed>(&event)) {
    // Our own Resume has moved us on already; a later stop is not undone by the news of an earlier resume.
    if (!stop_ || stop_->stop_counter == resumed->stop_counter) LeaveStop(rpc::TargetState::kRunning);
  } else if (auto* link = std::get_if<rpc::LinkChanged>(&event)) {
    if (link->description) description_ = link->description;
    if (link->state == rpc::TargetState::kHalted && stop_) return;
    if (link->closed) link_closed_ = Error{link->error, link->text};
    LeaveStop(link->state);
  } else if (auto* driver = std::get_if<rpc::DriverChanged>(&event)) {
    DropMemory();
    if (Uproots(driver->self, driver->driver_epoch)) ++renewals_;
    TakeRole(driver->self, driver->driver_epoch);
    driver_ = driver->driver;
  }
}

Result<std::optional<rpc::Event>> RemoteTarget::WaitEvent(Clock::time_point deadline) {
  const bool waits = deadline > Clock::now();
  while (!link_closed_) {
    if (RefreshDue()) {
      if (Result<void> refreshed = Refresh(); !refreshed) return refreshed.error();
    }
    Told told;
    if (!told_.empty()) {
      told = std::move(told_.front());
      told_.pop_front();
      if (told.present) {
        TellPresentState(std::move(*told.present), told.renewed);
        continue;
      }
    } else {
      Result<std::optional<rpc::Event>> event =
          client_->WaitEvent(comeback_ ? std::min(deadline, comeback_->next) : deadline);
      const bool cancelled = !event && event.error().code == Errc::kCancelled;
      if (cancelled && waits && comeback_) return EndSession(ComebackEndedByUser());
      if (!event && !cancelled) LeaveStop(rpc::TargetState::kOffline);
      if (!event) return event;
      if (!*event && client_->view() != RpcClient::View::kCurrent) continue;
      if (!*event && comeback_ && Clock::now() < deadline) continue;
      if (!*event) return event;
      told.event = std::move(**event);
    }
    if (told.counted && TellsState(told.event)) ++events_applied_;
    Apply(told.event);
    if (!link_closed_) return std::optional<rpc::Event>(std::move(told.event));
  }
  return *link_closed_;
}

// ---- roles
// ------------------------------------------------------------------------------------------------------

Result<rpc::ClientList> RemoteTarget::Clients() {
  return Ask<rpc::ClientList>(rpc::ListClients{}, {}, nullptr);
}

Result<void> RemoteTarget::TakeDriver() {
  if (driving_) return {};
  Result<rpc::LinkOpened> taken = Ask<rpc::LinkOpened>(rpc::TakeDriver{true}, {}, nullptr);
  if (!taken) return taken.error();
  return {};  // an event tells what became of it
}

Result<void> RemoteTarget::HandOver(std::uint64_t client) { return Do(rpc::HandOver{client}); }

}  // namespace longwire
