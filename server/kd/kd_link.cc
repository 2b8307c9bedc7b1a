#include "server/kd/kd_link.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace longwire {
namespace {

namespace asio = boost::asio;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kFirstBackOff{250};
constexpr std::chrono::milliseconds kLongestBackOff{2000};
/// A guest that does not read its line: acknowledges pile up, at 16 bytes each.
constexpr std::size_t kMaxOutgoing = 1u << 20;

kd::TimePoint Now() { return std::chrono::steady_clock::now(); }

}  // namespace

struct KdLink::Timers {
  explicit Timers(const Executor& executor)
      : deadline(executor), wake_writer(executor), back_off(executor), release(executor) {}
  asio::steady_timer deadline, wake_writer, back_off, release;
};

KdLink::KdLink(Executor executor, std::string name, std::unique_ptr<LinkPort> port,
               const TargetMaker& make_target)
    : executor_(executor),
      name_(std::move(name)),
      port_(std::move(port)),
      timers_(std::make_unique<Timers>(executor)),
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
  for (Subscriber* observer : observers) observer->OnLinkClosed(why);
  if (auto driver = std::exchange(driver_, std::nullopt); driver && driver->subscriber != nullptr) {
    driver->subscriber->OnLinkClosed(why);
  }
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
        self->timers_->back_off.expires_after(back_off);
        co_await self->timers_->back_off.async_wait(kAwait);
        back_off = std::min(back_off * 2, kLongestBackOff);
        continue;
      }
      stream = std::move(*opened);
    }
    back_off = kFirstBackOff;
    std::shared_ptr<Stream> current = std::move(stream);
    stream.reset();
    self->stream_ = current;
    self->outgoing_.clear();
    asio::co_spawn(self->executor_, WriteAll(self, current), Finished(self));
    self->target_->Opened(Now());
    self->AfterWork();
    co_await ReadAll(self, current);
    current->Close();
    self->stream_.reset();
    self->timers_->wake_writer.cancel();
    if (!self->port_->reconnects()) break;
  }
  if (self->closed_) co_return;
  rpc::LinkChanged over{rpc::TargetState::kOffline};
  over.text = "the link " + self->name_ +
              " is closed; a new session opens it again, and reconnect in the link string does so by itself";
  over.error = Errc::kLinkFailed;
  over.failed = over.closed = true;
  self->Tell(over);
}

Awaitable<void> KdLink::ReadAll(std::shared_ptr<KdLink> self, std::shared_ptr<Stream> stream) {
  std::vector<std::byte> buffer(16384);
  for (;;) {
    Result<std::size_t> size = co_await stream->ReadSome(buffer);
    if (self->closed_) co_return;
    if (!size || *size == 0) {
      Error why{Errc::kLinkFailed, "the other side of " + self->name_ +
                                       " is gone: the virtual machine ended or its serial port was closed"};
      if (!size) {
        why = Error{Errc::kLinkFailed, "the link " + self->name_ + " failed: " + size.error().message, 0,
                    size.error().os_error};
      }
      self->target_->Lost(Now(), why);
      self->AfterWork();
      co_return;
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
  // A subscriber may leave while it is told.
  if (driver_ && driver_->subscriber != nullptr) driver_->subscriber->OnLinkEvent(event);
  const auto observers = observers_;
  for (Subscriber* observer : observers) {
    if (std::find(observers_.begin(), observers_.end(), observer) != observers_.end())
      observer->OnLinkEvent(event);
  }
}

void KdLink::TakeDriver(Subscriber& driver, std::string name) {
  driver_ = Holder{&driver, std::move(name), std::chrono::system_clock::now()};
  ++driver_epoch_;
  target_->SetDriver(Now(), driver_epoch_, true);
  for (Subscriber* observer : observers_)
    observer->OnLinkEvent(rpc::DriverChanged{driver_->name, driver_epoch_});
  AfterWork();
}

void KdLink::Release(bool resume, std::function<void()> done) {
  if (leaving_ || closed_) return done();
  leaving_ = true;
  if (driver_) driver_->subscriber = nullptr;
  target_->SetDriver(Now(), ++driver_epoch_, false);
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
  target_->Leave(Now(), resume, [self = shared_from_this(), finish] {
    // The last packets must leave before anyone closes the stream, and the caller may stand inside the
    // target.
    asio::co_spawn(
        self->executor_,
        [](std::shared_ptr<KdLink> link, std::function<void()> finish) -> Awaitable<void> {
          link->AfterWork();
          for (int i = 0; i < 20 && (!link->outgoing_.empty() || link->writing_); ++i) {
            link->timers_->back_off.expires_after(std::chrono::milliseconds(5));
            co_await link->timers_->back_off.async_wait(kAwait);
          }
          finish();
        }(self, finish),
        Finished(self));
  });
  AfterWork();
}

void KdLink::Join(Subscriber& observer, const std::string& name) {
  Tell(rpc::ClientChanged{name, true});
  observers_.push_back(&observer);
}

void KdLink::Part(Subscriber& observer, const std::string& name) {
  std::erase(observers_, &observer);
  if (!closed_) Tell(rpc::ClientChanged{name, false});
}

void KdLink::Perform(std::uint64_t ticket, rpc::Request request, std::vector<std::byte> bulk,
                     LinkTarget::Done done, bool observer) {
  target_->Perform(Now(), ticket, std::move(request), std::move(bulk), std::move(done), observer);
  AfterWork();
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
  if (driver_) status.holder = driver_->name;
  return status;
}

}  // namespace longwire
