#include "server/kd/kd_session.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "server/kd/kd_service.h"

namespace longwire {
namespace {

/// More than this waiting for a client: debug output is skipped, everything else still goes out.
constexpr std::size_t kOutputBacklog = 1u << 20;
constexpr std::chrono::milliseconds kGoodbyeLimit{500};

}  // namespace

struct KdSession::Timer {
  explicit Timer(const Executor& executor) : timer(executor) {}
  boost::asio::steady_timer timer;
};

KdSession::KdSession(Executor executor, KdService& service, Identity identity)
    : executor_(executor),
      service_(service),
      identity_(std::move(identity)),
      keep_timer_(std::make_unique<Timer>(executor)) {}

KdSession::~KdSession() = default;

// ---- connections

std::uint64_t KdSession::NextEvent(std::uint64_t seen) {
  if (std::exchange(rebase_, false)) events_.Rebase(seen);
  return events_.NextAfter(seen);
}

void KdSession::Connect(std::shared_ptr<RpcChannel> channel, std::uint64_t seen) {
  if (channel_) channel_->Close();  // the client noticed the loss before we did
  channel_ = std::move(channel);
  const auto user = channel_->peer().user_id;
  local_owner_ = user && (*user == ::geteuid() || *user == 0);
  const bool was_lost = kept_until_.has_value();
  kept_until_.reset();
  keep_timer_->timer.cancel();
  if (!identity_.token.empty()) {
    for (auto& missed : events_.After(seen)) Send(rpc::Envelope{missed.number, std::move(missed.event), {}});
  }
  if (was_lost && Drives()) link_->ReturnDriver();
  if (was_lost) service_.changed_.Ring();
}

Awaitable<void> KdSession::Serve(std::shared_ptr<RpcChannel> channel, std::uint64_t seen) {
  const auto self = shared_from_this();
  Connect(channel, seen);
  for (;;) {
    Result<rpc::Envelope> envelope = co_await channel->Receive();
    if (over_ || channel_ != channel) co_return;
    if (!envelope) {
      const Error& why = envelope.error();
      if (why.code == Errc::kMalformed || why.code == Errc::kLimitExceeded) {
        service_.Log("client " + name() + " ended: " + why.message);
        Stop(why, KdLink::Why::kLeft);
      } else {
        Disconnected(why);
      }
      co_return;
    }
    if (std::holds_alternative<rpc::Goodbye>(envelope->message)) {
      service_.Log("client " + name() + " said goodbye");
      End(service_.options_.on_lost, KdLink::Why::kLeft);
      co_return;
    }
    co_await Handle(std::move(*envelope));
    if (over_ || channel_ != channel) co_return;
  }
}

/// The connection ended without a goodbye: the session waits for the client, if that is agreed and worth it.
void KdSession::Disconnected(const Error& why) {
  // A calm client is found out later, but not kept longer for it.
  const auto now = std::chrono::steady_clock::now();
  const auto lost = why.code == Errc::kTimedOut ? now - channel_->peer_extra() : now;
  channel_->Close();
  channel_.reset();
  if (identity_.token.empty() || !link_ || !service_.MayKeep()) {
    service_.Log("client " + name() + " ended: " + why.message);
    End(service_.options_.on_lost, KdLink::Why::kLeft);
    return;
  }
  service_.Log("client " + name() + " lost: " + why.message + " Its session is kept for " +
               std::to_string(identity_.keep_ms / 1000) + " s.");
  kept_until_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(identity_.keep_ms);
  if (Drives()) link_->LoseDriver(lost, *kept_until_);
  keep_timer_->timer.expires_at(*kept_until_);
  keep_timer_->timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self || self->over_ || self->channel_) return;
    self->service_.EndLost(*self, "the client did not come back in time");
  });
  service_.changed_.Ring();
}

void KdSession::Inherit(std::shared_ptr<KdLink> link) {
  link_ = std::move(link);
  inherited_ = rebase_ = true;
  if (identity_.token.empty()) return;  // nobody can come back
  kept_until_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(identity_.keep_ms);
  keep_timer_->timer.expires_at(*kept_until_);
  keep_timer_->timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self || self->over_ || self->channel_) return;
    self->service_.EndLost(*self, "the client did not come back after the restart of the server");
  });
}

KdLink::Member KdSession::AsMember() {
  return {this, identity_.id, identity_.name, identity_.token, identity_.keep_ms};
}

void KdSession::Stop(const Error& why, KdLink::Why reason) {
  if (over_) return;
  if (channel_) {
    stopping_ = true;
    ++*service_.farewells_;
    Send(rpc::Envelope{0, rpc::Goodbye{why.code, why.message}, {}}, RpcChannel::Lane::kUrgent);
    boost::asio::co_spawn(
        executor_,
        [](std::shared_ptr<RpcChannel> channel, std::shared_ptr<int> farewells) -> Awaitable<void> {
          Result<void> drained = co_await channel->Drain(kGoodbyeLimit);
          static_cast<void>(drained);
          channel->Close();
          --*farewells;
        }(channel_, service_.farewells_),
        boost::asio::detached);
  }
  End(service_.options_.on_lost, reason);
}

void KdSession::End(Parting parting, KdLink::Why reason) {
  if (std::exchange(over_, true)) return;
  const auto self = shared_from_this();  // the service lets go of it
  keep_timer_->timer.cancel();
  if (diagnosis_) diagnosis_->Cancel();
  LeaveLink(parting, reason);
  if (channel_ && !stopping_) channel_->Close();
  service_.Forget(*this);
}

void KdSession::Abandon() {
  over_ = true;
  keep_timer_->timer.cancel();
  if (channel_) channel_->Close();
}

bool KdSession::IsOwner() const { return local_owner_; }

void KdSession::LeaveLink(Parting parting, KdLink::Why reason) {
  const auto link = link_;
  if (!link || link->closed()) {
    link_.reset();
    return;
  }
  const bool drives = Drives();
  link_.reset();
  if (drives) {
    service_.ReleaseDriver(link, parting, reason, [] {});
  } else {
    link->Part(*this);
    CancelWork(*link);
    service_.CloseIfUnused(link);
  }
}

/// What an observer asked for is not for the others to wait for.
void KdSession::CancelWork(KdLink& link) {
  std::vector<std::uint64_t> tickets;
  for (const auto& [id, work] : in_flight_) {
    if (work.ticket != 0) tickets.push_back(work.ticket);
  }
  for (const std::uint64_t ticket : tickets) link.Cancel(ticket);
}

rpc::Client KdSession::Describe(const KdSession* asker) const {
  rpc::Client client;
  client.id = identity_.id;
  client.name = identity_.name;
  client.role = identity_.role;
  if (link_) {
    client.link = link_->name();
    if (Drives() || client.role == rpc::Role::kDriver)
      client.role = Drives() ? rpc::Role::kDriver : rpc::Role::kObserver;
  }
  client.self = this == asker;
  client.lost = kept_until_.has_value();
  if (kept_until_) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*kept_until_ -
                                                                            std::chrono::steady_clock::now());
    client.kept_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(left.count(), 0));
  }
  client.waiting = service_.Waits(*this);
  client.since = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(since_.time_since_epoch()).count());
  client.queued_bytes = channel_ ? channel_->queued_bytes() : 0;
  client.skipped_bytes = skipped_in_all_;
  return client;
}

// ---- what the client is told

void KdSession::Answer(std::uint64_t id, rpc::Answer answer, std::vector<std::byte> bulk) {
  bool changes = true;
  if (const auto work = in_flight_.find(id); work != in_flight_.end()) {
    in_flight_bytes_ -= work->second.bytes;
    changes = work->second.changes;
    in_flight_.erase(work);
  }
  rpc::Envelope envelope{id, rpc::Response{std::move(answer)}, std::move(bulk)};
  answered_.Keep(envelope, changes);
  Send(std::move(envelope));
}

void KdSession::Send(rpc::Envelope envelope, RpcChannel::Lane lane) {
  if (!channel_) return;
  const Result<void> queued = channel_->Enqueue(std::move(envelope), lane);
  if (!queued && queued.error().code == Errc::kLimitExceeded) {
    service_.Log("client " + name() + " does not take its messages; disconnected");
    channel_->Close();
  }
}

EventRecord::Bounds KdSession::RecordBounds() const {
  if (!Drives()) return EventRecord::kWatching;
  return channel_ ? EventRecord::kDriving : EventRecord::kAway;
}

void KdSession::OnLinkEvent(const rpc::Event& event) {
  if (over_) return;
  const auto* driver = std::get_if<rpc::DriverChanged>(&event);
  const bool plain = driver != nullptr && !driver->self && driver->client != 0 &&
                     driver->why <= KdLink::Why::kTaken;  // what older clients expect
  if (driver != nullptr && !plain && !identity_.knows_roles) return;
  if (std::holds_alternative<rpc::LinkQueued>(event) && !identity_.knows_roles) return;
  const auto* output = std::get_if<rpc::Output>(&event);
  if (output != nullptr && channel_ && channel_->queued_bytes() > kOutputBacklog) {
    skipped_output_ += output->text.size();
    skipped_in_all_ += output->text.size();
    return;
  }
  const auto emit = [this](rpc::Event one) {
    const bool numbered = !identity_.token.empty();
    rpc::Envelope envelope{0, one, {}};
    if (numbered) {
      events_.SetBounds(RecordBounds());
      envelope.id = events_.Append(std::move(one));
    }
    Send(std::move(envelope));
  };
  if (output != nullptr) {
    rpc::Output marked = *output;
    marked.skipped += std::exchange(skipped_output_, 0);
    emit(std::move(marked));
    return;
  }
  // A gap shows at the latest before the next thing that is told, even when the target prints no more.
  if (skipped_output_ != 0) {
    rpc::Output mark;
    mark.skipped = std::exchange(skipped_output_, 0);
    emit(std::move(mark));
  }
  emit(event);
}

void KdSession::OnLinkClosed(const Error& why) {
  link_.reset();
  rpc::LinkChanged changed;
  changed.state = rpc::TargetState::kOffline;
  changed.text = why.message;
  changed.error = why.code;
  changed.failed = true;
  changed.closed = true;
  OnLinkEvent(changed);
}

}  // namespace longwire
