#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "server/kd/kd_service.h"
#include "server/kd/kd_session.h"

namespace longwire {
namespace {

/// What a waiting request costs in memory.
std::size_t SizeOf(const rpc::Request& request, const std::vector<std::byte>& bulk) {
  std::size_t size = sizeof(rpc::Request) + bulk.size();
  if (const auto* read = std::get_if<rpc::ReadMemory>(&request))
    size += read->ranges.size() * sizeof(rpc::ReadRange);
  if (const auto* run = std::get_if<rpc::RunPlan>(&request)) {
    size += run->plan.program.size() * sizeof(plan::Instruction);
    for (const auto& pattern : run->plan.patterns) size += sizeof(pattern) + pattern.size();
  }
  if (const auto* resume = std::get_if<rpc::Resume>(&request))
    size += resume->temporary_breakpoints.size() * 8;
  if (const auto* prompt = std::get_if<rpc::AnswerPrompt>(&request)) size += prompt->text.size();
  return size;
}

/// Changes nothing: a client that only watches may ask it, and it may run again.
bool OnlyReads(const rpc::Request& request) {
  return std::holds_alternative<rpc::ReadMemory>(request) || std::holds_alternative<rpc::RunPlan>(request) ||
         std::holds_alternative<rpc::GetContext>(request) ||
         std::holds_alternative<rpc::ReadControlSpace>(request) ||
         std::holds_alternative<rpc::GetLinkStatus>(request);
}

}  // namespace

Awaitable<void> KdSession::Handle(rpc::Envelope envelope) {
  if (const auto* cancel = std::get_if<rpc::Cancel>(&envelope.message)) {
    Cancel(cancel->id);
    co_return;
  }
  auto* request = std::get_if<rpc::Request>(&envelope.message);
  if (request == nullptr) co_return;  // responses and events are not for a server
  if (AnsweredBefore(envelope.id, *request, envelope.resent)) co_return;
  co_await HandleRequest(envelope.id, std::move(*request), std::move(envelope.bulk));
}

void KdSession::Cancel(std::uint64_t id) {
  if (opening_ == id) {
    opening_cancelled_ = true;
    service_.changed_.Ring();
    return;
  }
  if (diagnosis_ && diagnosis_id_ == id) diagnosis_->Cancel();
  const auto work = in_flight_.find(id);
  if (link_ && work != in_flight_.end() && work->second.ticket != 0) link_->Cancel(work->second.ticket);
}

bool KdSession::AnsweredBefore(std::uint64_t id, const rpc::Request& request, bool resent) {
  if (in_flight_.contains(id)) return true;  // its answer is on the way
  const auto* open = std::get_if<rpc::OpenLink>(&request);
  // A recorded state is older than the events the client was told when it came back.
  const bool asks_for_state = open && link_ && service_.IsSameLink(*link_, open->link);
  const rpc::Envelope* const answer = answered_.Find(id);
  if (answer && !asks_for_state) {
    Send(*answer);
    return true;
  }
  const bool harmless = OnlyReads(request) || open || std::holds_alternative<rpc::ListClients>(request);
  if (!resent || !inherited_ || harmless) return false;
  Answer(
      id,
      Error{Errc::kClosed,
            "the server was restarted meanwhile, and whether this was still carried out is not known; look "
            "before you repeat it"},
      {});
  return true;
}

Awaitable<void> KdSession::HandleRequest(std::uint64_t id, rpc::Request request,
                                         std::vector<std::byte> bulk) {
  const std::size_t bytes = SizeOf(request, bulk);
  const bool full = in_flight_.size() >= kMaxInFlight || in_flight_bytes_ + bytes > kMaxInFlightBytes;
  if (full && !std::holds_alternative<rpc::BreakIn>(request)) {
    Answer(id, Error{Errc::kLimitExceeded, "too many requests in flight; wait for answers"}, {});
    co_return;
  }
  const bool reads = OnlyReads(request);
  in_flight_[id] = InFlight{0, bytes, !reads};
  in_flight_bytes_ += bytes;
  if (auto* open = std::get_if<rpc::OpenLink>(&request)) {
    // One that waits its turn must not keep its own Cancel from being heard.
    if (open->when_busy == rpc::WhenBusy::kQueue) {
      boost::asio::co_spawn(executor_, OpenLink(shared_from_this(), id, std::move(*open)),
                            boost::asio::detached);
    } else {
      co_await OpenLink(shared_from_this(), id, std::move(*open));
    }
    co_return;
  }
  if (HandleOwn(id, request)) co_return;
  if (!link_) {
    Answer(id, Error{Errc::kTargetOffline, "no kernel link is open; open one first"}, {});
    co_return;
  }
  const bool drives = Drives();
  if (!drives && !reads) {
    Answer(id, Error{Errc::kFenced, "only the driver of the link may do that"}, {});
    co_return;
  }
  const bool status = std::holds_alternative<rpc::GetLinkStatus>(request);
  const std::uint64_t ticket = link_->NextTicket();
  in_flight_[id].ticket = ticket;
  link_->Perform(
      ticket, std::move(request), std::move(bulk),
      [weak = weak_from_this(), id, status](rpc::Answer answer, std::vector<std::byte> data) {
        const auto self = weak.lock();
        if (!self || self->over_) return;
        if (status && self->link_) {
          rpc::LinkStatus all = self->link_->Status();
          all.waiting = static_cast<std::uint32_t>(self->service_.Waiting(*self->link_));
          answer = std::move(all);
        }
        self->Answer(id, std::move(answer), std::move(data));
      },
      !drives);
}

/// Requests about clients and links, not about the target.
bool KdSession::HandleOwn(std::uint64_t id, const rpc::Request& request) {
  const auto answer = [this, id](const Result<void>& result) {
    Answer(id, result ? rpc::Answer(rpc::Done{}) : rpc::Answer(result.error()), {});
    return true;
  };
  const auto later = [weak = weak_from_this(), id](const Result<void>& result, bool opened) {
    const auto self = weak.lock();
    if (!self || self->over_) return;
    rpc::Answer done = rpc::Done{};
    if (opened && self->link_) done = self->Snapshot();
    self->Answer(id, result ? std::move(done) : rpc::Answer(result.error()), {});
  };
  if (const auto* close = std::get_if<rpc::CloseLink>(&request)) {
    CloseLink(id, close->resume);
    return true;
  }
  if (const auto* end = std::get_if<rpc::EndServer>(&request)) {
    const Result<void> ended = service_.EndServer(*this, end->force);
    answer(ended);
    if (ended && service_.ended_) service_.ended_();
    return true;
  }
  if (std::holds_alternative<rpc::ListClients>(request)) {
    Answer(id, service_.ListClients(*this), {});
    return true;
  }
  if (const auto* diagnose = std::get_if<rpc::Diagnose>(&request)) {
    Diagnose(id, diagnose->link);
    return true;
  }
  if (const auto* evict = std::get_if<rpc::EvictClient>(&request)) {
    return answer(service_.Evict(*this, evict->client));
  }
  if (const auto* take = std::get_if<rpc::TakeDriver>(&request)) {
    service_.TakeDriver(*this, take->force, [later](const Result<void>& result) { later(result, true); });
    return true;
  }
  if (const auto* hand = std::get_if<rpc::HandOver>(&request)) {
    service_.HandOver(*this, hand->client, [later](const Result<void>& result) { later(result, false); });
    return true;
  }
  return false;
}

rpc::LinkOpened KdSession::Snapshot() const {
  rpc::LinkOpened opened;
  opened.link = link_->name();
  opened.driver_epoch = link_->driver_epoch();
  opened.state = link_->target().state();
  opened.description = link_->target().description();
  opened.stop = link_->target().stop();
  opened.role = Drives() ? rpc::Role::kDriver : rpc::Role::kObserver;
  opened.client = identity_.id;
  if (link_->driver()) opened.driver = link_->driver()->name;
  return opened;
}

Awaitable<void> KdSession::OpenLink(std::shared_ptr<KdSession> self, std::uint64_t id,
                                    rpc::OpenLink request) {
  if (self->link_ && self->service_.IsSameLink(*self->link_, request.link)) {
    self->Answer(id, self->Snapshot(), {});
    co_return;
  }
  if (self->link_ || self->opening_) {
    const std::string has = self->link_ ? ": " + self->link_->name() : std::string();
    self->Answer(id, Error{Errc::kUsage, "this connection has a kernel link already" + has}, {});
    co_return;
  }
  self->opening_ = id;
  self->opening_cancelled_ = false;
  Result<KdService::Opening> opening = co_await self->service_.OpenLink(self, request);
  if (self->over_) {
    if (opening) self->service_.CloseIfUnused(opening->link);
    co_return;
  }
  self->opening_.reset();
  if (!opening) {
    self->Answer(id, opening.error(), {});
    co_return;
  }
  self->link_ = opening->link;
  if (!opening->joined) {
    if (opening->drive) {
      self->link_->SetDriver(self->AsMember(), KdLink::Why::kOpened);
    } else {
      self->link_->Join(self->AsMember());
    }
  }
  const bool drives = self->Drives();
  if (drives) self->link_->SetBreakOnReboot(request.break_on_reboot);
  self->service_.Log("link " + self->link_->name() + (drives ? " opened by " : " observed by ") +
                     self->name());
  rpc::LinkOpened opened = self->Snapshot();
  const bool running = opened.state == rpc::TargetState::kRunning;
  self->Answer(id, std::move(opened), {});
  self->SendHistory(request);
  if (drives && request.break_in && running && self->link_) self->link_->SetBreakIn();
  self->service_.changed_.Ring();
}

/// What the target printed before; the client got none of it, so these events are not for the record.
void KdSession::SendHistory(const rpc::OpenLink& request) {
  if (!identity_.knows_history || request.scroll_back == 0 || !link_) return;
  using Clock = std::chrono::steady_clock;
  ScrollBack::TimePoint since = Clock::time_point::min();
  const std::uint64_t longest = 1000ull * 60 * 60 * 24 * 365;
  if (request.since_ms != 0 && request.since_ms < longest)
    since = Clock::now() - std::chrono::milliseconds(request.since_ms);
  for (rpc::Output& output : link_->scroll_back().Last(request.scroll_back, since))
    Send(rpc::Envelope{0, rpc::Event(std::move(output)), {}});
}

void KdSession::CloseLink(std::uint64_t id, bool resume) {
  if (!link_) {
    Answer(id, Error{Errc::kNotFound, "no kernel link is open"}, {});
    return;
  }
  const bool drives = Drives();
  const auto link = std::exchange(link_, nullptr);
  if (!drives) {
    link->Part(*this);
    CancelWork(*link);
    service_.CloseIfUnused(link);
    Answer(id, rpc::Done{}, {});
    return;
  }
  service_.ReleaseDriver(link, resume ? Parting::kResume : Parting::kStay, KdLink::Why::kLeft,
                         [weak = weak_from_this(), id] {
                           const auto self = weak.lock();
                           if (self && !self->over_) self->Answer(id, rpc::Done{}, {});
                         });
}

}  // namespace longwire
