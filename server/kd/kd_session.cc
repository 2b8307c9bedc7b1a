#include "server/kd/kd_session.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "server/kd/kd_service.h"

namespace longwire {
namespace {

constexpr std::size_t kAnsweredKept = 64;
constexpr std::size_t kAnsweredBytes = 1u << 20;
/// More than this waiting for a client: debug output is skipped, everything else still goes out.
constexpr std::size_t kOutputBacklog = 1u << 20;
constexpr std::chrono::milliseconds kGoodbyeLimit{500};
constexpr std::size_t kNameBytes = 64;

/// A name that a peer gave itself, fit for logs and for the terminals of others.
std::string Printable(std::string name) {
  if (name.size() > kNameBytes) name.resize(kNameBytes);
  for (char& c : name) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return name;
}

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

/// A client that only watches may read and nothing else.
bool ObserverMay(const rpc::Request& request) {
  return std::holds_alternative<rpc::ReadMemory>(request) || std::holds_alternative<rpc::RunPlan>(request) ||
         std::holds_alternative<rpc::GetContext>(request) ||
         std::holds_alternative<rpc::ReadControlSpace>(request) ||
         std::holds_alternative<rpc::GetLinkStatus>(request);
}

}  // namespace

KdSession::KdSession(Executor executor, KdService& service, std::unique_ptr<Stream> stream)
    : executor_(executor),
      service_(service),
      registry_(service.sessions_),
      channel_(RpcChannel::Make(executor, std::move(stream), service.options_.channel)) {
  registry_->push_back(this);
}

KdSession::~KdSession() { std::erase(*registry_, this); }

Awaitable<void> KdSession::Run() {
  const auto self = shared_from_this();
  rpc::Welcome welcome;
  welcome.software = service_.options_.software;
  Result<rpc::Hello> hello = co_await GreetClient(*channel_, welcome);
  greeting_ = false;
  if (!hello) {
    service_.Log("client " + channel_->peer().address + " refused: " + hello.error().message);
    co_return;
  }
  role_ = hello->role;
  name_ = (hello->user.empty() ? std::string("unknown") : Printable(hello->user)) + "@" +
          (hello->host.empty() ? channel_->peer().address : Printable(hello->host));
  service_.Log("client " + name_ + " connected from " + channel_->peer().address);
  for (;;) {
    Result<rpc::Envelope> envelope = co_await channel_->Receive();
    if (!envelope) {
      const Error& why = envelope.error();
      service_.Log("client " + name_ + " ended: " + why.message);
      if (why.code == Errc::kMalformed || why.code == Errc::kLimitExceeded) Stop(why);
      break;
    }
    if (std::holds_alternative<rpc::Goodbye>(envelope->message)) {
      service_.Log("client " + name_ + " said goodbye");
      break;
    }
    co_await Handle(std::move(*envelope));
  }
  LeaveLink();
  if (!stopping_) channel_->Close();
}

void KdSession::Stop(const Error& why) {
  if (std::exchange(stopping_, true)) return;
  Send(rpc::Envelope{0, rpc::Goodbye{why.code, why.message}, {}}, RpcChannel::Lane::kUrgent);
  boost::asio::co_spawn(
      executor_,
      [](std::shared_ptr<KdSession> self) -> Awaitable<void> {
        Result<void> drained = co_await self->channel_->Drain(kGoodbyeLimit);
        static_cast<void>(drained);
        self->channel_->Close();
      }(shared_from_this()),
      boost::asio::detached);
}

void KdSession::Drop() {
  greeting_ = false;
  std::erase(*registry_, this);  // its place is free at once
  channel_->Close();
}

/// A role is only what a peer says of itself; that a process of the server's user asks is known for certain.
bool KdSession::IsOwner() const {
  const auto user = channel_->peer().user_id;
  return user && (*user == ::geteuid() || *user == 0);
}

void KdSession::LeaveLink() {
  const auto link = std::exchange(link_, nullptr);
  if (!link || link->closed()) return;
  if (role_ == rpc::Role::kDriver) {
    service_.ReleaseDriver(link, service_.options_.resume_when_lost, [] {});
  } else {
    link->Part(*this, name_);
    CancelWork(*link);
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

Awaitable<void> KdSession::Handle(rpc::Envelope envelope) {
  if (const auto* cancel = std::get_if<rpc::Cancel>(&envelope.message)) {
    const auto work = in_flight_.find(cancel->id);
    if (link_ && work != in_flight_.end() && work->second.ticket != 0) link_->Cancel(work->second.ticket);
    co_return;
  }
  auto* request = std::get_if<rpc::Request>(&envelope.message);
  if (request == nullptr) co_return;  // responses and events are not for a server
  if (AnsweredBefore(envelope.id)) co_return;
  co_await HandleRequest(envelope.id, std::move(*request), std::move(envelope.bulk));
}

bool KdSession::AnsweredBefore(std::uint64_t id) {
  if (in_flight_.contains(id)) return true;  // its answer is on the way
  const auto found =
      std::find_if(answered_.begin(), answered_.end(), [id](const Answered& one) { return one.id == id; });
  if (found == answered_.end()) return false;
  Send(found->envelope);
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
  in_flight_[id].bytes = bytes;
  in_flight_bytes_ += bytes;
  if (auto* open = std::get_if<rpc::OpenLink>(&request)) {
    co_await OpenLink(id, std::move(*open));
    co_return;
  }
  if (const auto* close = std::get_if<rpc::CloseLink>(&request)) {
    CloseLink(id, close->resume);
    co_return;
  }
  if (const auto* end = std::get_if<rpc::EndServer>(&request)) {
    const Result<void> ended = service_.EndServer(*this, end->force);
    Answer(id, ended ? rpc::Answer(rpc::Done{}) : rpc::Answer(ended.error()), {});
    if (ended && service_.ended_) service_.ended_();
    co_return;
  }
  if (!link_) {
    Answer(id, Error{Errc::kTargetOffline, "no kernel link is open; open one first"}, {});
    co_return;
  }
  if (role_ != rpc::Role::kDriver && !ObserverMay(request)) {
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
        if (!self) return;
        if (status && self->link_) answer = self->link_->Status();
        self->Answer(id, std::move(answer), std::move(data));
      },
      role_ != rpc::Role::kDriver);
}

Awaitable<void> KdSession::OpenLink(std::uint64_t id, rpc::OpenLink request) {
  if (link_) {
    Answer(id, Error{Errc::kUsage, "this connection has a kernel link already: " + link_->name()}, {});
    co_return;
  }
  Result<std::shared_ptr<KdLink>> link = co_await service_.OpenLink(request, role_);
  if (!link) {
    Answer(id, link.error(), {});
    co_return;
  }
  link_ = *link;
  if (role_ == rpc::Role::kDriver) {
    link_->TakeDriver(*this, name_);
  } else {
    link_->Join(*this, name_);
  }
  service_.Log("link " + link_->name() + " opened by " + name_);
  rpc::LinkOpened opened;
  opened.link = link_->name();
  opened.driver_epoch = link_->driver_epoch();
  opened.state = link_->target().state();
  opened.description = link_->target().description();
  opened.stop = link_->target().stop();
  Answer(id, std::move(opened), {});
  if (role_ == rpc::Role::kDriver && request.break_in && link_ &&
      opened.state == rpc::TargetState::kRunning) {
    link_->SetBreakIn();
  }
}

void KdSession::CloseLink(std::uint64_t id, bool resume) {
  if (!link_) {
    Answer(id, Error{Errc::kNotFound, "no kernel link is open"}, {});
    return;
  }
  const auto link = std::exchange(link_, nullptr);
  if (role_ != rpc::Role::kDriver) {
    link->Part(*this, name_);
    CancelWork(*link);
    Answer(id, rpc::Done{}, {});
    return;
  }
  service_.ReleaseDriver(link, resume, [weak = weak_from_this(), id] {
    if (const auto self = weak.lock()) self->Answer(id, rpc::Done{}, {});
  });
}

void KdSession::Answer(std::uint64_t id, rpc::Answer answer, std::vector<std::byte> bulk) {
  if (const auto work = in_flight_.find(id); work != in_flight_.end()) {
    in_flight_bytes_ -= work->second.bytes;
    in_flight_.erase(work);
  }
  rpc::Envelope envelope{id, rpc::Response{std::move(answer)}, std::move(bulk)};
  // Reads may be asked for again; only what changes something must not run twice, and its answers are small.
  if (envelope.bulk.size() <= 8192) {
    answered_bytes_ += envelope.bulk.size();
    answered_.push_back({id, envelope});
    while (answered_.size() > kAnsweredKept || answered_bytes_ > kAnsweredBytes) {
      answered_bytes_ -= answered_.front().envelope.bulk.size();
      answered_.pop_front();
    }
  }
  Send(std::move(envelope));
}

void KdSession::Send(rpc::Envelope envelope, RpcChannel::Lane lane) {
  const Result<void> queued = channel_->Enqueue(std::move(envelope), lane);
  if (!queued && queued.error().code == Errc::kLimitExceeded) {
    service_.Log("client " + name_ + " does not take its messages; disconnected");
    channel_->Close();
  }
}

void KdSession::OnLinkEvent(const rpc::Event& event) {
  rpc::Envelope envelope;
  if (const auto* output = std::get_if<rpc::Output>(&event)) {
    if (channel_->queued_bytes() > kOutputBacklog) {
      skipped_output_ += output->text.size();
      return;
    }
    rpc::Output marked = *output;
    marked.skipped += std::exchange(skipped_output_, 0);
    envelope.message = rpc::Event(std::move(marked));
  } else {
    // A gap shows at the latest before the next thing that is told, even when the target prints no more.
    if (skipped_output_ != 0) {
      rpc::Output mark;
      mark.skipped = std::exchange(skipped_output_, 0);
      Send(rpc::Envelope{0, rpc::Event(std::move(mark)), {}});
    }
    envelope.message = event;
  }
  Send(std::move(envelope));
}

void KdSession::OnLinkClosed(const Error& why) {
  link_.reset();
  rpc::LinkChanged changed;
  changed.state = rpc::TargetState::kOffline;
  changed.text = why.message;
  changed.error = why.code;
  changed.failed = true;
  changed.closed = true;
  Send(rpc::Envelope{0, rpc::Event(std::move(changed)), {}});
}

}  // namespace longwire
