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
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "client/target/counting_stream.h"
#include "client/target/event_queue.h"
#include "client/target/wakeup.h"
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

Error Forgotten() {
  return Error{Errc::kClosed, "the server does not know this session any more; the link is opened anew"};
}

Error Cancelled() { return Error{Errc::kCancelled, "cancelled by the user"}; }

class ThreadedRpcClient final : public RpcClient {
 public:
  ThreadedRpcClient(Interrupt& interrupt, rpc::Hello hello, std::optional<Survival> survival)
      : interrupt_(interrupt), survival_(std::move(survival)), hello_(std::move(hello)) {}

  ~ThreadedRpcClient() override { Close(); }

  Result<void> Start(Opener opener) {
    if (!wakeup_.valid()) return Error{Errc::kIo, "cannot create an eventfd; too many open files?", 0, errno};
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
      {
        std::lock_guard lock(mutex_);
        if (greeted_) return {};
        if (failure_) return *failure_;
      }
      const auto woken = wakeup_.SleepUntil(deadline, &interrupt_);
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

  bool Answered(std::uint64_t id) override {
    std::lock_guard lock(mutex_);
    return !calls_.waiting(id);
  }

  void Abandon(std::uint64_t id) override {
    {
      std::lock_guard lock(mutex_);
      calls_.Abandon(id);
    }
    // Nobody waits for it: not worth sending again.
    if (survival_) boost::asio::post(context_, [this, id] { unanswered_.erase(id); });
  }

  Result<Reply> Wait(std::uint64_t id, milliseconds limit) override {
    Clock::time_point deadline = Clock::now() + limit;
    std::optional<unsigned> returns;
    bool cancelling = false;
    while (true) {
      TellNews();
      bool away = false;
      {
        std::lock_guard lock(mutex_);
        if (std::optional<Result<Reply>> reply = calls_.Take(id)) return FromAnswer(std::move(*reply));
        away = away_since_.has_value();
        if (returns && *returns != returns_ && !cancelling) deadline = Clock::now() + limit;
        returns = returns_;
      }
      const auto woken = wakeup_.SleepUntil(away && !cancelling ? Clock::time_point::max() : deadline,
                                            cancelling ? nullptr : &interrupt_);
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
      bool away = false;
      {
        std::lock_guard lock(mutex_);
        if (std::optional<rpc::Event> event = events_.Pop()) return event;
        if (failure_) return *failure_;
        if (view_ != View::kCurrent) return std::optional<rpc::Event>();
        away = waits && away_since_.has_value();
      }
      const auto woken = wakeup_.SleepUntil(away ? Clock::time_point::max() : deadline, &interrupt_);
      if (woken == Wakeup::Cause::kInterrupted && waits && GiveUp()) continue;
      if (woken == Wakeup::Cause::kInterrupted) return Cancelled();
      if (woken == Wakeup::Cause::kDeadline) return std::optional<rpc::Event>();
    }
  }

  std::uint64_t state_events() const override { return state_events_.load(std::memory_order_acquire); }

  std::optional<Error> failure() const override {
    std::lock_guard lock(mutex_);
    return failure_;
  }

  bool away() const override {
    std::lock_guard lock(mutex_);
    return away_since_.has_value();
  }

  milliseconds outage() const override {
    std::lock_guard lock(mutex_);
    Clock::duration total = outage_;
    if (away_since_) total += Clock::now() - *away_since_;
    return std::chrono::ceil<milliseconds>(total);
  }

  View view() const override {
    std::lock_guard lock(mutex_);
    return events_.empty() ? view_ : View::kCurrent;
  }

  void Renew() override {
    std::lock_guard lock(mutex_);
    view_ = View::kCurrent;
  }

  TargetCounters counters() const override {
    std::lock_guard lock(mutex_);
    TargetCounters counters;
    counters.requests = calls_.requests();
    counters.round_trips = calls_.round_trips();
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
    std::deque<ConnectionNews> news;
    {
      std::lock_guard lock(mutex_);
      news.swap(news_);
    }
    for (const ConnectionNews& one : news) {
      if (survival_->news) survival_->news(one);
    }
  }

  /// Ctrl-C while away. False: the connection is there.
  bool GiveUp() {
    {
      std::lock_guard lock(mutex_);
      if (!away_since_) return false;
    }
    Fail(Error{Errc::kUnreachable, "the wait for the connection to " + peer_ + " was ended by Ctrl-C; " +
                                       "start kd again to reconnect"});
    boost::asio::post(context_, [this] {
      given_up_ = true;
      pause_.cancel();
      if (channel_) channel_->Close();  // the dial succeeded just then
    });
    return true;
  }

  std::uint64_t Submit(rpc::Request request, std::vector<std::byte> bulk, RpcChannel::Lane lane) {
    std::lock_guard lock(mutex_);
    std::uint64_t id = calls_.Add();
    if (failure_ || view_ == View::kForgotten) {
      calls_.Complete(id, failure_ ? *failure_ : Forgotten());
      return id;
    }
    rpc::Envelope envelope;
    envelope.id = id;
    envelope.message = std::move(request);
    envelope.bulk = std::move(bulk);
    // Posted under the lock, so that requests reach the channel in the order of their ids.
    boost::asio::post(context_, [this, lane, envelope = std::move(envelope)]() mutable {
      Send(std::move(envelope), lane);
    });
    return id;
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
    std::lock_guard lock(mutex_);
    calls_.Complete(id, queued.error());
    wakeup_.Wake();
  }

  Awaitable<void> Run(Opener opener) {
    Result<rpc::Welcome> welcome = co_await Connect(std::move(opener));
    if (!welcome) co_return Fail(welcome.error());
    hello_.resume_token = welcome->resume_token;
    {
      std::lock_guard lock(mutex_);
      greeted_ = true;
      wakeup_.Wake();
    }
    while (true) {
      bool for_good = false;
      const Error cause = co_await Listen(for_good);
      channel_->Close();
      if (for_good || closing_ || given_up_ || !survival_) co_return Fail(Lost(cause));
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
    Result<rpc::Welcome> welcome = co_await GreetServer(*channel, hello_);
    if (!welcome) {
      channel->Close();
      co_return welcome.error();
    }
    if (peer_.empty()) peer_ = channel->peer().address;
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
      std::lock_guard lock(mutex_);
      calls_.Complete(envelope.id, Reply{std::move(response->answer), std::move(envelope.bulk)});
    } else if (auto* event = std::get_if<rpc::Event>(&envelope.message)) {
      if (envelope.id != 0 && envelope.id <= hello_.last_event) return;
      hello_.last_event = std::max(hello_.last_event, envelope.id);
      std::lock_guard lock(mutex_);
      if (TellsState(*event)) state_events_.fetch_add(1, std::memory_order_release);
      const std::optional<rpc::Event> dropped = events_.Push(std::move(*event));
      if (dropped) Unsettle(View::kGap);
      // Nobody will look at it any more.
      if (dropped && TellsState(*dropped)) state_events_.fetch_sub(1, std::memory_order_release);
    }
    wakeup_.Wake();
  }

  /// Dials again until the session goes on. False: it is lost for good, or nobody wants it any more.
  Awaitable<bool> Return(Error cause) {
    const Clock::time_point lost = Clock::now();
    Reconnection attempts(survival_->timing, lost);
    SetAway(cause, lost);
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
    Fail(Lost(attempts.Reason(cause)));
    co_return false;
  }

  void SetAway(const Error& cause, Clock::time_point since) {
    std::lock_guard lock(mutex_);
    away_since_ = since;
    news_.push_back(NewsOfLoss(peer_, cause, survival_->timing));
    wakeup_.Wake();
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
      hello_.last_event = 0;
    }
    {
      std::lock_guard lock(mutex_);
      outage_ += away;
      away_since_.reset();
      ++returns_;
      if (!welcome.resumed) calls_.FailAll(Forgotten());
      if (!welcome.resumed || gap) Unsettle(welcome.resumed ? View::kGap : View::kForgotten);
      news_.push_back(NewsOfReturn(peer_, welcome, gap, away));
      wakeup_.Wake();
    }
    for (auto& [id, request] : again) {
      request.envelope.resent = true;
      // Errors end the stream, and with it this attempt.
      (void)channel_->Enqueue(std::move(request.envelope), request.lane);
    }
  }

  /// What the engine knows is void once it has looked at everything queued. Under mutex_.
  void Unsettle(View view) {
    // Renew() settles it once, however often it happened.
    if (view_ == View::kCurrent) state_events_.fetch_add(1, std::memory_order_release);
    if (view_ != View::kForgotten) view_ = view;
  }

  void Fail(Error error) {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
    if (away_since_) outage_ += Clock::now() - *away_since_;
    away_since_.reset();
    calls_.FailAll(*failure_);
    state_events_.fetch_add(1, std::memory_order_release);
    wakeup_.Wake();
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
  rpc::Hello hello_;  ///< RPC thread only, once that runs: the token and the newest event
  Wakeup wakeup_;
  std::atomic<std::uint64_t> received_{0}, sent_{0}, state_events_{0};
  mutable std::mutex mutex_;
  PendingCalls calls_;  // this and the following: under mutex_
  EventQueue events_;
  std::deque<ConnectionNews> news_;
  bool greeted_ = false;
  std::optional<Error> failure_;
  std::optional<Clock::time_point> away_since_;
  Clock::duration outage_{0};
  unsigned returns_ = 0;  ///< how often the connection came back
  View view_ = View::kCurrent;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  boost::asio::steady_timer pause_{context_};  // this and the following: RPC thread only
  std::unique_ptr<RpcChannel> channel_;        ///< null while away
  std::shared_ptr<void> company_;
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
