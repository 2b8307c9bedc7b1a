#include "client/target/rpc_client.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <thread>
#include <utility>

#include "client/target/counting_stream.h"
#include "client/target/rpc_mailbox.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// After Cancel: an answer within this time is the truth about what happened and better than "cancelled".
constexpr milliseconds kCancelGrace{700};
constexpr milliseconds kGoodbyeLimit{2000};
/// At the end, for what is being dialled just then.
constexpr milliseconds kDropLimit{200};

Error Lost(const Error& cause) {
  Error error = cause;
  error.message = "the connection to the KD connection server is lost (" + cause.message +
                  "); the target stays as the server left it, start kd again to reconnect";
  return error;
}

Error Cancelled() { return Error{Errc::kCancelled, "cancelled by the user"}; }

class ThreadedRpcClient final : public RpcClient {
 public:
  ThreadedRpcClient(Interrupt& interrupt, rpc::Hello hello, std::optional<Survival> survival)
      : interrupt_(interrupt), survival_(std::move(survival)), hello_(std::move(hello)), role_(hello_.role) {}

  ~ThreadedRpcClient() override { Close(); }

  Result<void> Start(Opener opener) {
    if (!mailbox_.wakeup().valid())
      return Error{Errc::kIo, "cannot create an eventfd; too many open files?", 0, errno};
    thread_ = std::thread([this, opener = std::move(opener)]() mutable {
      boost::asio::co_spawn(context_, Run(std::move(opener)), boost::asio::detached);
      while (!ending_) context_.run_one();
      // What runs on sees the close and ends, a serial line when its last bytes are acknowledged; what does
      // not is dropped with the context.
      context_.run_for(GoodbyeLimit());
      channel_.reset();
    });
    // The opener has deadlines of its own (dial 10 s by default, hello 10 s); this one is for what they miss.
    Clock::time_point deadline = Clock::now() + std::chrono::minutes(10);
    while (true) {
      if (std::optional<Result<void>> greeting = mailbox_.greeting()) return *greeting;
      const auto woken = mailbox_.wakeup().SleepUntil(deadline, &interrupt_);
      if (woken == Wakeup::Cause::kInterrupted) return Cancelled();
      if (woken == Wakeup::Cause::kDeadline)
        return Error{Errc::kTimedOut, "the connection could not be opened in time"};
    }
  }

  std::uint64_t Send(rpc::Request request, std::vector<std::byte> bulk) override {
    return Submit(std::move(request), std::move(bulk), RpcChannel::Lane::kNormal);
  }

  void Urge(rpc::Request request) override {
    std::uint64_t id = Submit(std::move(request), {}, RpcChannel::Lane::kUrgent);
    Abandon(id);
  }

  bool Answered(std::uint64_t id) override { return !mailbox_.waiting(id); }

  void Abandon(std::uint64_t id) override {
    mailbox_.Abandon(id);
    // Nobody waits for it: not worth sending again.
    if (survival_) boost::asio::post(context_, [this, id] { unanswered_.erase(id); });
  }

  Result<Reply> Wait(std::uint64_t id, milliseconds limit) override {
    Clock::time_point deadline = Clock::now() + limit;
    std::optional<unsigned> returns;
    bool cancelling = false;
    while (true) {
      TellNews();
      RpcMailbox::CallLook look = mailbox_.LookAtCall(id);
      if (look.reply) return FromAnswer(std::move(*look.reply));
      if (returns && *returns != look.returns && !cancelling) deadline = Clock::now() + limit;
      returns = look.returns;
      const auto woken = mailbox_.wakeup().SleepUntil(
          look.away && !cancelling ? Clock::time_point::max() : deadline, cancelling ? nullptr : &interrupt_);
      if (woken == Wakeup::Cause::kWoken) continue;
      if (woken == Wakeup::Cause::kInterrupted && GiveUp()) continue;
      if (woken == Wakeup::Cause::kInterrupted) {
        EnqueueCancel(id);
        cancelling = true;
        deadline = std::min(deadline, Clock::now() + kCancelGrace);
        continue;
      }
      if (!cancelling) EnqueueCancel(id);
      Abandon(id);
      if (cancelling) return Cancelled();
      return Error{Errc::kTimedOut,
                   "the server did not answer in time; the link to the target may be slow or blocked"};
    }
  }

  Result<std::optional<rpc::Event>> WaitEvent(Clock::time_point deadline) override {
    const bool waits = deadline > Clock::now();
    while (true) {
      TellNews();
      RpcMailbox::EventLook look = mailbox_.LookAtEvents();
      if (look.event) return std::move(*look.event);
      const bool away = waits && look.away;
      const auto woken =
          mailbox_.wakeup().SleepUntil(away ? Clock::time_point::max() : deadline, &interrupt_);
      if (woken == Wakeup::Cause::kInterrupted && waits && GiveUp()) continue;
      if (woken == Wakeup::Cause::kInterrupted) return Cancelled();
      if (woken == Wakeup::Cause::kDeadline) return std::optional<rpc::Event>();
    }
  }

  std::uint64_t state_events() const override { return mailbox_.state_events(); }
  std::optional<Error> failure() const override { return mailbox_.failure(); }
  bool Has(std::string_view capability) const override { return mailbox_.Has(capability); }
  bool away() const override { return mailbox_.away(); }
  milliseconds outage() const override { return std::chrono::ceil<milliseconds>(mailbox_.outage()); }
  rpc::Role role() const override { return role_.load(std::memory_order_relaxed); }
  View view() const override { return mailbox_.view(); }
  void Renew() override { mailbox_.Renew(); }

  TargetCounters counters() const override {
    TargetCounters counters = mailbox_.counters();
    counters.bytes_received = received_;
    counters.bytes_sent = sent_;
    return counters;
  }

  void Close() override {
    if (!thread_.joinable()) return;
    boost::asio::co_spawn(context_, SayGoodbye(), boost::asio::detached);
    thread_.join();
  }

 private:
  /// An error the server answered with becomes the call's error.
  static Result<Reply> FromAnswer(Result<Reply> reply) {
    if (reply) {
      if (auto* error = std::get_if<Error>(&reply->answer)) return std::move(*error);
    }
    return reply;
  }

  // ---- engine's thread

  /// Shows what became of the connection.
  void TellNews() {
    for (const ConnectionNews& one : mailbox_.TakeNews()) {
      if (survival_->news) survival_->news(one);
    }
  }

  /// Ctrl-C while away. False: the connection is there.
  bool GiveUp() {
    if (!mailbox_.away()) return false;
    mailbox_.Fail(Error{Errc::kUnreachable, "the wait for the connection to " + peer_ +
                                                " was ended by Ctrl-C; start kd again to reconnect"});
    boost::asio::post(context_, [this] {
      given_up_ = true;
      pause_.cancel();
      if (channel_) channel_->Close();  // the dial succeeded just then
    });
    return true;
  }

  std::uint64_t Submit(rpc::Request request, std::vector<std::byte> bulk, RpcChannel::Lane lane) {
    return mailbox_.AddCall([&](std::uint64_t id) {
      rpc::Envelope envelope;
      envelope.id = id;
      envelope.message = std::move(request);
      envelope.bulk = std::move(bulk);
      boost::asio::post(context_, [this, lane, envelope = std::move(envelope)]() mutable {
        Send(std::move(envelope), lane);
      });
    });
  }

  void EnqueueCancel(std::uint64_t id) {
    boost::asio::post(context_, [this, id] {
      rpc::Envelope envelope;
      envelope.message = rpc::Cancel{id};
      // A full queue or a closed channel: the call is abandoned anyway.
      if (channel_) (void)channel_->Enqueue(std::move(envelope), RpcChannel::Lane::kUrgent);
    });
  }

  // ---- RPC thread

  void Send(rpc::Envelope envelope, RpcChannel::Lane lane) {
    const std::uint64_t id = envelope.id;
    Result<void> queued = Error{Errc::kLimitExceeded, "too many requests wait for the connection"};
    if (survival_ && unanswered_.size() < kMaxUnanswered) {
      unanswered_[id] = {envelope, lane};
      queued = Result<void>();
    }
    if (!channel_ && !survival_) queued = Error{Errc::kClosed, "the connection is closed"};
    if (channel_ && (queued || !survival_)) queued = channel_->Enqueue(std::move(envelope), lane);
    // A stream that broke is noticed by its reader soon; the request goes out again then.
    if (queued || (survival_ && queued.error().code != Errc::kLimitExceeded)) return;
    unanswered_.erase(id);
    mailbox_.Answer(id, queued.error());
  }

  Awaitable<void> Run(Opener opener) {
    Result<rpc::Welcome> welcome = co_await Connect(std::move(opener));
    if (!welcome) co_return mailbox_.Fail(welcome.error());
    hello_.resume_token = welcome->resume_token;
    mailbox_.Greeted();
    while (true) {
      bool for_good = false;
      const Error cause = co_await Listen(for_good);
      channel_->Close();
      if (for_good || closing_ || given_up_ || !survival_) co_return mailbox_.Fail(Lost(cause));
      channel_.reset();
      if (!co_await Return(cause)) co_return;
    }
  }

  /// Opens a stream and greets; channel_ is there afterwards.
  Awaitable<Result<rpc::Welcome>> Connect(Opener opener) {
    Result<Opened> opened = co_await opener(context_.get_executor());
    if (!opened) co_return opened.error();
    if (closing_) co_return Cancelled();
    auto channel =
        RpcChannel::Make(context_.get_executor(), CountBytes(std::move(opened->stream), received_, sent_));
    hello_.role = role_;
    Result<rpc::Welcome> welcome = co_await GreetServer(*channel, hello_);
    if (!welcome) {
      channel->Close();
      co_return welcome.error();
    }
    if (peer_.empty()) peer_ = channel->peer().address;
    mailbox_.SetCapabilities(welcome->capabilities);
    channel_ = std::move(channel);
    company_ = std::move(opened->company);
    co_return welcome;
  }

  /// Hands over what comes until the stream ends; why it ended.
  Awaitable<Error> Listen(bool& for_good) {
    while (true) {
      Result<rpc::Envelope> envelope = co_await channel_->Receive();
      if (!envelope) {
        for_good = EndsForGood(envelope.error());
        co_return envelope.error();
      }
      if (auto* goodbye = std::get_if<rpc::Goodbye>(&envelope->message)) {
        for_good = true;
        co_return Error{goodbye->code, goodbye->text};
      }
      Deliver(std::move(*envelope));
    }
  }

  void Deliver(rpc::Envelope envelope) {
    if (auto* response = std::get_if<rpc::Response>(&envelope.message)) {
      unanswered_.erase(envelope.id);
      if (auto* opened = std::get_if<rpc::LinkOpened>(&response->answer); opened && opened->role)
        LearnRole(*opened->role == rpc::Role::kDriver, opened->driver_epoch);
      mailbox_.Answer(envelope.id, Reply{std::move(response->answer), std::move(envelope.bulk)});
    } else if (auto* event = std::get_if<rpc::Event>(&envelope.message)) {
      if (envelope.id != 0 && envelope.id <= hello_.last_event) return;
      hello_.last_event = std::max(hello_.last_event, envelope.id);
      if (auto* driver = std::get_if<rpc::DriverChanged>(event))
        LearnRole(driver->self, driver->driver_epoch);
      mailbox_.Push(std::move(*event));
    }
  }

  void LearnRole(bool drives, std::uint64_t epoch) {
    // An answer from the server's record is older than the events told before it.
    if (epoch != 0 && epoch < role_epoch_) return;
    role_epoch_ = epoch;
    role_ = drives ? rpc::Role::kDriver : rpc::Role::kObserver;
  }

  /// Dials again until the session goes on. False: it is lost for good, or nobody wants it any more.
  Awaitable<bool> Return(Error cause) {
    const Clock::time_point lost = Clock::now();
    Reconnection attempts(survival_->timing, lost);
    mailbox_.Leave(NewsOfLoss(peer_, cause, survival_->timing), lost);
    while (std::optional<milliseconds> pause = attempts.NextPause(Clock::now())) {
      pause_.expires_after(*pause);
      (void)co_await pause_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
      if (given_up_ || closing_) co_return false;
      Result<rpc::Welcome> welcome = co_await Connect(survival_->opener);
      if (given_up_ || closing_) {
        // Open, it would hold the link for nobody.
        if (channel_) channel_->Close();
        co_return false;
      }
      if (welcome) {
        Resume(*welcome, Clock::now() - lost);
        co_return true;
      }
      attempts.Failed(welcome.error());
    }
    mailbox_.Fail(Lost(attempts.Reason(cause)));
    co_return false;
  }

  /// The connection is there again: the session goes on, or a new one begins.
  void Resume(const rpc::Welcome& welcome, Clock::duration away) {
    hello_.resume_token = welcome.resume_token;
    std::map<std::uint64_t, Unanswered> again;
    const bool gap = welcome.restarted || welcome.next_event > hello_.last_event + 1;
    if (welcome.resumed) {
      again = unanswered_;
      if (welcome.next_event > 0) hello_.last_event = welcome.next_event - 1;
    } else {
      unanswered_.clear();
      hello_.last_event = role_epoch_ = 0;
    }
    mailbox_.Return(!welcome.resumed ? View::kForgotten
                    : gap            ? View::kGap
                                     : View::kCurrent,
                    NewsOfReturn(peer_, welcome, gap, away), away);
    for (auto& [id, request] : again) {
      request.envelope.resent = true;
      // Errors end the stream, and with it this attempt.
      (void)channel_->Enqueue(std::move(request.envelope), request.lane);
    }
  }

  milliseconds GoodbyeLimit() const { return channel_ ? kGoodbyeLimit + channel_->peer().drain : kDropLimit; }

  Awaitable<void> SayGoodbye() {
    closing_ = true;
    pause_.cancel();
    if (channel_) {
      rpc::Envelope envelope;
      envelope.message = rpc::Goodbye{Errc::kClosed, "client ends"};
      if (channel_->Enqueue(std::move(envelope))) (void)co_await channel_->Drain(GoodbyeLimit());
      channel_->Close();
    }
    company_.reset();
    ending_ = true;
    work_.reset();
  }

  struct Unanswered {
    rpc::Envelope envelope;
    RpcChannel::Lane lane = RpcChannel::Lane::kNormal;
  };
  static constexpr std::size_t kMaxUnanswered = 1024;

  Interrupt& interrupt_;
  const std::optional<Survival> survival_;
  RpcMailbox mailbox_;
  rpc::Hello hello_;  ///< RPC thread only, once that runs: the token and the newest event
  std::atomic<rpc::Role> role_;
  std::atomic<std::uint64_t> received_{0}, sent_{0};
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  boost::asio::steady_timer pause_{context_};  // this and the following: RPC thread only
  std::unique_ptr<RpcChannel> channel_;        ///< null while away
  std::shared_ptr<void> company_;
  std::uint64_t role_epoch_ = 0;                    ///< driver epoch of what role_ says; 0: not known
  std::map<std::uint64_t, Unanswered> unanswered_;  ///< by id; kept only to be sent again
  bool closing_ = false, ending_ = false, given_up_ = false;
  std::string peer_;  ///< constant once greeted_
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<RpcClient>> RpcClient::Open(Opener opener, rpc::Hello hello, Interrupt& interrupt,
                                                   std::optional<Survival> survival) {
  auto client = std::make_unique<ThreadedRpcClient>(interrupt, std::move(hello), std::move(survival));
  if (Result<void> started = client->Start(std::move(opener)); !started) {
    client->Close();
    return started.error();
  }
  return std::unique_ptr<RpcClient>(std::move(client));
}

}  // namespace longwire
