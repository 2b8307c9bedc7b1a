#include "server/kd/kd_link.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "proto/shared_moment.h"

namespace longwire {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kFirstBackOff{250};
constexpr std::chrono::milliseconds kLongestBackOff{2000};
/// For a target that shall be left stopped; its breakpoints still have to be taken out afterwards.
constexpr std::chrono::milliseconds kHaltLimit{2500};
/// A guest that does not read its line: acknowledges pile up, at 16 bytes each.
constexpr std::size_t kMaxOutgoing = 1u << 20;
constexpr std::uint32_t kSlowestLine = 50, kFastestLine = 4'000'000;

kd::TimePoint Now() { return std::chrono::steady_clock::now(); }

}  // namespace

struct KdLink::Timers {
  explicit Timers(const Executor& executor)
      : deadline(executor), wake_writer(executor), back_off(executor), release(executor) {}
  asio::steady_timer deadline, wake_writer, back_off, release;
};

KdLink::KdLink(Executor executor, std::string name, std::unique_ptr<LinkPort> port,
               const TargetMaker& make_target, std::size_t scroll_back)
    : executor_(executor),
      name_(std::move(name)),
      port_(std::move(port)),
      timers_(std::make_unique<Timers>(executor)),
      scroll_back_(scroll_back),
      target_(make_target([this](rpc::Event event) { Tell(event); })) {}

KdLink::~KdLink() = default;

std::function<void(std::exception_ptr)> KdLink::Finished(std::shared_ptr<KdLink> self) {
  return [self = std::move(self)](std::exception_ptr escaped) {
    if (escaped)
      self->Close(
          Error{Errc::kInternal, "an internal error ended the link " + self->name_ + "; open it again"});
  };
}

void KdLink::Start(std::unique_ptr<Stream> stream) {
  asio::co_spawn(executor_, Run(shared_from_this(), std::move(stream)), Finished(shared_from_this()));
}

void KdLink::Close(const Error& why) {
  if (std::exchange(closed_, true)) return;
  if (port_) port_->Cancel();
  if (stream_) stream_->Close();
  timers_->deadline.cancel();
  timers_->wake_writer.cancel();
  timers_->back_off.cancel();
  timers_->release.cancel();
  auto observers = std::exchange(observers_, {});
  for (const Member& observer : observers) observer.subscriber->OnLinkClosed(why);
  if (auto driver = std::exchange(driver_, std::nullopt); driver && driver->subscriber != nullptr) {
    driver->subscriber->OnLinkClosed(why);
  }
  if (const auto finish = std::exchange(vacated_, nullptr)) finish();
}

Awaitable<void> KdLink::Run(std::shared_ptr<KdLink> self, std::unique_ptr<Stream> stream) {
  if (!self->port_) {
    self->target_->Opened(Now());
    self->AfterWork();
    co_return;
  }
  std::chrono::milliseconds back_off = kFirstBackOff;
  while (!self->closed_) {
    if (!stream) {
      Result<std::unique_ptr<Stream>> opened = co_await self->port_->Open();
      if (self->closed_) break;
      if (!opened) {
        if (!self->port_->reconnects()) break;
        co_await BackOff(self, back_off);
        continue;
      }
      stream = std::move(*opened);
    }
    std::shared_ptr<Stream> current = std::move(stream);
    stream.reset();
    self->stream_ = current;
    self->outgoing_.clear();
    asio::co_spawn(self->executor_, WriteAll(self, current), Finished(self));
    self->target_->Opened(Now());
    self->AfterWork();
    const bool heard = co_await ReadAll(self, current);
    current->Close();
    self->stream_.reset();
    self->timers_->wake_writer.cancel();
    if (self->closed_ || !self->port_->reconnects()) break;
    if (heard) {
      back_off = kFirstBackOff;
    } else {
      // Whoever takes the connection drops it, because there is no target behind.
      co_await BackOff(self, back_off);
    }
  }
  if (self->closed_) co_return;
  rpc::LinkChanged over{rpc::TargetState::kOffline};
  over.text = "the link " + self->name_ +
              " is closed; a new session opens it again, and reconnect in the link string does so by itself";
  over.error = Errc::kLinkFailed;
  over.failed = over.closed = true;
  self->over_ = true;
  self->Tell(over);
}

Awaitable<void> KdLink::BackOff(std::shared_ptr<KdLink> self, std::chrono::milliseconds& span) {
  self->timers_->back_off.expires_at(SharedMoment(Now() + span, span / 4));
  co_await self->timers_->back_off.async_wait(kAwait);
  span = std::min(span * 2, kLongestBackOff);
}

Awaitable<bool> KdLink::ReadAll(std::shared_ptr<KdLink> self, std::shared_ptr<Stream> stream) {
  std::vector<std::byte> buffer(16384);
  for (bool heard = false;; heard = true) {
    Result<std::size_t> size = co_await stream->ReadSome(buffer);
    if (self->closed_) co_return heard;
    if (!size || *size == 0) {
      Error why{Errc::kLinkFailed, "the other side of " + self->name_ +
                                       " is gone: the virtual machine ended or its serial port was closed"};
      if (!size && size.error().code == Errc::kTargetRestarted) {
        why = size.error();
      } else if (!size) {
        why = Error{Errc::kLinkFailed, "the link " + self->name_ + " failed: " + size.error().message, 0,
                    size.error().os_error};
      }
      self->target_->Lost(Now(), why);
      self->AfterWork();
      co_return heard;
    }
    self->target_->Receive(Now(), std::span(buffer).first(*size));
    self->AfterWork();
  }
}

Awaitable<void> KdLink::WriteAll(std::shared_ptr<KdLink> self, std::shared_ptr<Stream> stream) {
  while (!self->closed_ && self->stream_ == stream) {
    if (self->outgoing_.empty()) {
      self->timers_->wake_writer.expires_at(kd::TimePoint::max());
      co_await self->timers_->wake_writer.async_wait(kAwait);
      continue;
    }
    const std::vector<std::byte> bytes = std::exchange(self->outgoing_, {});
    self->writing_ = true;
    Result<void> written = co_await stream->WriteAll(bytes);
    self->writing_ = false;
    if (!written) {
      stream->Close();  // the reader ends and reports it
      co_return;
    }
  }
}

/// After anything that may have made the target speak: its bytes leave, its next deadline is known.
void KdLink::AfterWork() {
  const kd::Bytes output = target_->TakeOutput();
  if (!output.empty() && stream_) {
    const bool idle = outgoing_.empty();
    outgoing_.insert(outgoing_.end(), output.begin(), output.end());
    if (outgoing_.size() > kMaxOutgoing) stream_->Close();
    if (idle) timers_->wake_writer.cancel();
  }
  Write();
  ArmTimer();
}

/// Deadlines mostly move away: the timer is left alone then, and looks again when it fires.
void KdLink::ArmTimer() {
  const auto deadline = target_->Deadline();
  if (closed_ || !deadline || (armed_for_ && *armed_for_ <= *deadline)) return;
  armed_for_ = *deadline;
  timers_->deadline.expires_at(*deadline);
  timers_->deadline.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self || self->closed_) return;
    self->armed_for_.reset();
    const auto due = self->target_->Deadline();
    if (due && *due <= Now()) self->target_->Tick(Now());
    self->AfterWork();
  });
}

void KdLink::Tell(const rpc::Event& event) {
  if (const auto* output = std::get_if<rpc::Output>(&event)) {
    scroll_back_.Append(Now(), *output);
  } else {
    Write();  // first: a client never knows more than the journal
  }
  // A subscriber may leave while it is told.
  if (driver_ && driver_->subscriber != nullptr) driver_->subscriber->OnLinkEvent(event);
  const auto observers = observers_;
  for (const Member& observer : observers) {
    if (FindObserver(observer.id) != nullptr) observer.subscriber->OnLinkEvent(event);
  }
}

const KdLink::Member* KdLink::FindObserver(std::uint64_t id) const {
  const auto found = std::find_if(observers_.begin(), observers_.end(),
                                  [id](const Member& observer) { return observer.id == id; });
  return found == observers_.end() ? nullptr : &*found;
}

void KdLink::TellDriver(Why why) {
  Write();  // first, as in Tell()
  rpc::DriverChanged changed{{}, driver_epoch_, why};
  if (driver_) {
    changed.driver = driver_->name;
    changed.client = driver_->id;
    if (driver_->kept_until) changed.kept_ms = driver_->keep_ms;
  }
  const auto observers = observers_;
  for (const Member& observer : observers) {
    if (FindObserver(observer.id) != nullptr) observer.subscriber->OnLinkEvent(changed);
  }
  if (!driver_ || driver_->subscriber == nullptr) return;
  changed.self = true;
  driver_->subscriber->OnLinkEvent(changed);
}

void KdLink::SetDriver(Member driver, Why why) {
  std::erase_if(observers_, [&driver](const Member& observer) { return observer.id == driver.id; });
  driver_ = Holder{std::move(driver), std::chrono::system_clock::now(), std::nullopt, std::nullopt};
  BeginEpoch();
  TellDriver(why);
  target_->SetDriver(Now(), driver_epoch_, true);
  AfterWork();
}

void KdLink::LoseDriver(TimePoint lost, TimePoint kept_until) {
  driver_->lost = lost;
  driver_->kept_until = kept_until;
  TellDriver(Why::kLost);
  target_->SetDriver(Now(), driver_epoch_, false);
  AfterWork();
}

void KdLink::ReturnDriver() {
  driver_->lost.reset();
  driver_->kept_until.reset();
  TellDriver(Why::kReturned);
  target_->SetDriver(Now(), driver_epoch_, true);
  AfterWork();
}

/// What one driver asked for is not for the next.
void KdLink::BeginEpoch() {
  ++driver_epoch_;
  entry_.target.stop_on_module = entry_.target.break_on_reboot = false;
}

/// Nobody drives from here on; `done` when the breakpoints are out, or kReleaseLimit has passed.
void KdLink::Vacate(std::function<void()> done) {
  leaving_ = true;
  if (driver_) driver_->subscriber = nullptr;
  BeginEpoch();
  target_->SetDriver(Now(), driver_epoch_, false);
  auto once = std::make_shared<std::function<void()>>(std::move(done));
  const auto finish = [self = shared_from_this(), once] {
    if (!*once) return;
    self->timers_->release.cancel();
    self->leaving_ = false;
    self->driver_.reset();
    std::exchange(*once, nullptr)();
  };
  timers_->release.expires_after(kReleaseLimit);
  timers_->release.async_wait([finish](boost::system::error_code error) {
    if (!error) finish();
  });
  vacated_ = finish;
}

/// The target left: the last packets must go before anyone closes the stream, and the caller may stand inside
/// the target.
void KdLink::Leave(bool resume) {
  target_->Leave(Now(), resume, [self = shared_from_this()] {
    asio::co_spawn(
        self->executor_,
        [](std::shared_ptr<KdLink> link) -> Awaitable<void> {
          link->AfterWork();
          for (int i = 0; i < 20 && (!link->outgoing_.empty() || link->writing_); ++i) {
            link->timers_->back_off.expires_after(std::chrono::milliseconds(5));
            co_await link->timers_->back_off.async_wait(kAwait);
          }
          if (const auto finish = std::exchange(link->vacated_, nullptr)) finish();
        }(self),
        Finished(self));
  });
  AfterWork();
}

void KdLink::Release(Parting parting, Why why, std::function<void()> done) {
  if (leaving_ || closed_) return done();
  if (driver_) driver_->token.clear();  // who said goodbye does not come back, not even after a kill
  Vacate([self = shared_from_this(), why, done = std::move(done)] {
    self->TellDriver(why);
    done();
  });
  if (parting == Parting::kBreak && target_->state() == rpc::TargetState::kRunning) {
    asio::co_spawn(executor_, HaltAndLeave(shared_from_this()), Finished(shared_from_this()));
  } else {
    Leave(parting == Parting::kResume);
  }
}

/// Gives the target kHaltLimit to stop; Vacate() bounds the whole.
Awaitable<void> KdLink::HaltAndLeave(std::shared_ptr<KdLink> self) {
  self->SetBreakIn();
  const TimePoint limit = Now() + kHaltLimit;
  while (!self->closed_ && self->target_->state() == rpc::TargetState::kRunning && Now() < limit) {
    self->timers_->back_off.expires_after(std::chrono::milliseconds(5));
    co_await self->timers_->back_off.async_wait(kAwait);
  }
  if (!self->closed_) self->Leave(false);
}

void KdLink::ChangeDriver(Member to, Why why, std::function<void(bool)> done) {
  const std::uint64_t id = to.id;
  std::optional<Member> former;
  if (driver_ && driver_->lost) driver_->token.clear();  // as in Release()
  if (driver_ && !driver_->lost) former = static_cast<const Member&>(*driver_);
  Vacate([self = shared_from_this(), id, why, done = std::move(done)] {
    const Member* member = self->closed_ ? nullptr : self->FindObserver(id);
    if (member != nullptr) {
      self->SetDriver(*member, why);
    } else if (!self->closed_) {
      self->TellDriver(Why::kLeft);
    }
    done(member != nullptr);
  });
  if (former) observers_.push_back(std::move(*former));
  if (FindObserver(id) == nullptr) observers_.push_back(std::move(to));
  Leave(false);
}

void KdLink::Join(Member observer) {
  Tell(rpc::ClientChanged{observer.name, true, observer.id, rpc::Role::kObserver});
  observers_.push_back(std::move(observer));
}

void KdLink::Part(const Subscriber& observer) {
  const auto found = std::find_if(observers_.begin(), observers_.end(), [&observer](const Member& member) {
    return member.subscriber == &observer;
  });
  if (found == observers_.end()) return;
  const Member gone = std::move(*found);
  observers_.erase(found);
  if (!closed_) Tell(rpc::ClientChanged{gone.name, false, gone.id, rpc::Role::kObserver});
}

void KdLink::Perform(std::uint64_t ticket, rpc::Request request, std::vector<std::byte> bulk,
                     LinkTarget::Done done, bool observer) {
  const auto* set = std::get_if<rpc::SetBreakpoint>(&request);
  if (set != nullptr && set->kind != rpc::BreakpointKind::kCode && !entry_.target.debug_registers) {
    // Nothing in the target tells whose a debug register is, so the journal has to know first.
    entry_.target.debug_registers = true;
    Write();
  }
  if (const auto* configure = std::get_if<rpc::Configure>(&request)) {
    const Result<void> changed = Configure(*configure);
    if (!changed) return done(changed.error(), {});
  }
  if (set != nullptr || std::holds_alternative<rpc::ClearBreakpoint>(request)) {
    // Answers leave at once; see Tell().
    done = [weak = weak_from_this(), done = std::move(done)](rpc::Answer answer, kd::Bytes data) {
      if (const auto self = weak.lock()) self->Write();
      done(std::move(answer), std::move(data));
    };
  }
  target_->Perform(Now(), ticket, std::move(request), std::move(bulk), std::move(done), observer);
  AfterWork();
}

/// The target does the rest.
Result<void> KdLink::Configure(const rpc::Configure& wish) {
  if (wish.baud) {
    Result<void> set = SetBaud(*wish.baud);
    if (!set) return set;
  }
  if (wish.stop_on_module) entry_.target.stop_on_module = *wish.stop_on_module;
  if (wish.break_on_reboot) entry_.target.break_on_reboot = *wish.break_on_reboot;
  Write();
  return {};
}

void KdLink::SetBreakOnReboot(bool on) {
  entry_.target.break_on_reboot = on;
  target_->SetBreakOnReboot(on);
  AfterWork();
}

/// Of the stream that is open, and of those to come.
Result<void> KdLink::SetBaud(std::uint32_t baud) {
  if (!port_ || port_->baud() == 0) {
    return Error{Errc::kUnsupported,
                 "this link has no line speed to change: only a serial device (com:port=...) has one"};
  }
  if (baud < kSlowestLine || baud > kFastestLine) return Error{Errc::kUsage, "no line runs at such a speed"};
  if (stream_) {
    Result<void> set = stream_->SetBaud(baud);
    if (!set) return set;
  }
  port_->SetBaud(baud);
  entry_.baud = baud;
  target_->SetBaud(Now(), baud);
  return {};
}

void KdLink::Cancel(std::uint64_t ticket) {
  target_->Cancel(Now(), ticket);
  AfterWork();
}

void KdLink::SetBreakIn() {
  target_->SetBreakIn(Now());
  AfterWork();
}

rpc::LinkStatus KdLink::Status() const {
  rpc::LinkStatus status = target_->Status();
  status.link = name_;
  status.observers = static_cast<std::uint32_t>(observers_.size());
  status.baud = port_ ? port_->baud() : 0;
  if (!driver_) return status;
  status.holder = driver_->name;
  status.lost = driver_->lost.has_value();
  if (driver_->kept_until) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*driver_->kept_until - Now());
    status.kept_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0));
  }
  return status;
}

}  // namespace longwire
