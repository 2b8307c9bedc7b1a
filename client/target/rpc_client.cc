#include "client/target/rpc_client.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMaxQueuedOutput = 16u << 20;
constexpr std::size_t kMaxQueuedEvents = 65'536;
/// After Cancel: an answer within this time is the truth about what happened and better than "cancelled".
constexpr milliseconds kCancelGrace{700};
constexpr milliseconds kGoodbyeLimit{2000};

/// Counts what passes.
class CountingStream final : public Stream {
 public:
  CountingStream(std::unique_ptr<Stream> inner, std::atomic<std::uint64_t>& received,
                 std::atomic<std::uint64_t>& sent)
      : inner_(std::move(inner)), received_(received), sent_(sent) {}

  Awaitable<Result<std::size_t>> ReadSome(std::span<std::byte> out) override {
    Result<std::size_t> got = co_await inner_->ReadSome(out);
    if (got) received_ += *got;
    co_return got;
  }
  Awaitable<Result<void>> WriteAll(std::span<const std::byte> head,
                                   std::span<const std::byte> body) override {
    Result<void> done = co_await inner_->WriteAll(head, body);
    if (done) sent_ += head.size() + body.size();
    co_return done;
  }
  Awaitable<Result<void>> ShutdownWrite() override { return inner_->ShutdownWrite(); }
  void Close() noexcept override { inner_->Close(); }
  const PeerInfo& peer() const noexcept override { return inner_->peer(); }

 private:
  std::unique_ptr<Stream> inner_;
  std::atomic<std::uint64_t>& received_;
  std::atomic<std::uint64_t>& sent_;
};

bool TellsState(const rpc::Event& event) {
  return std::holds_alternative<rpc::StopEvent>(event) || std::holds_alternative<rpc::Resumed>(event) ||
         std::holds_alternative<rpc::LinkChanged>(event) || std::holds_alternative<rpc::DriverChanged>(event);
}

Error Lost(const Error& cause) {
  Error error = cause;
  error.message = "the connection to the KD connection server is lost (" + cause.message +
                  "); the target stays as the server left it, start kd again to reconnect";
  return error;
}

Error Cancelled() { return Error{Errc::kCancelled, "cancelled by the user"}; }

class ThreadedRpcClient final : public RpcClient {
 public:
  explicit ThreadedRpcClient(Interrupt& interrupt)
      : interrupt_(interrupt), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  ~ThreadedRpcClient() override {
    Close();
    if (wake_ >= 0) close(wake_);
  }

  Result<void> Start(Opener opener, rpc::Hello hello) {
    if (wake_ < 0) return Error{Errc::kIo, "cannot create an eventfd; too many open files?", 0, errno};
    thread_ = std::thread([this, opener = std::move(opener), hello = std::move(hello)]() mutable {
      boost::asio::co_spawn(context_, Run(std::move(opener), std::move(hello)), boost::asio::detached);
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
      Sleep woken = SleepUntil(deadline);
      if (woken == Sleep::kInterrupted) return Cancelled();
      if (woken == Sleep::kDeadline)
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
    std::lock_guard lock(mutex_);
    calls_.Abandon(id);
  }

  Result<Reply> Wait(std::uint64_t id, milliseconds limit) override {
    Clock::time_point deadline = Clock::now() + limit;
    bool cancelling = false;
    while (true) {
      {
        std::lock_guard lock(mutex_);
        if (std::optional<Result<Reply>> reply = calls_.Take(id)) return FromAnswer(std::move(*reply));
      }
      Sleep woken = SleepUntil(deadline, !cancelling);
      if (woken == Sleep::kWoken) continue;
      if (woken == Sleep::kInterrupted) {
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
    while (true) {
      {
        std::lock_guard lock(mutex_);
        if (!events_.empty()) {
          rpc::Event event = std::move(events_.front());
          events_.pop_front();
          if (auto* output = std::get_if<rpc::Output>(&event)) {
            queued_output_ -= std::min(queued_output_, output->text.size());
          }
          return std::optional<rpc::Event>(std::move(event));
        }
        if (failure_) return *failure_;
      }
      Sleep woken = SleepUntil(deadline);
      if (woken == Sleep::kInterrupted) return Cancelled();
      if (woken == Sleep::kDeadline) return std::optional<rpc::Event>();
    }
  }

  std::uint64_t state_events() const override { return state_events_.load(std::memory_order_acquire); }

  std::optional<Error> failure() const override {
    std::lock_guard lock(mutex_);
    return failure_;
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
  enum class Sleep { kWoken, kInterrupted, kDeadline };

  Sleep SleepUntil(Clock::time_point deadline, bool heed_interrupt = true) {
    while (true) {
      auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
      pollfd watched[2] = {{wake_, POLLIN, 0}, {heed_interrupt ? interrupt_.descriptor() : -1, POLLIN, 0}};
      int ready = poll(watched, 2, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
      if (ready > 0 && (watched[0].revents & POLLIN)) {
        std::uint64_t count;
        [[maybe_unused]] ssize_t got = read(wake_, &count, sizeof count);
        return Sleep::kWoken;
      }
      if (ready > 0 && (watched[1].revents & POLLIN)) return Sleep::kInterrupted;
      if (Clock::now() >= deadline) return Sleep::kDeadline;
    }
  }

  void Wake() {
    std::uint64_t one = 1;
    [[maybe_unused]] ssize_t written = write(wake_, &one, sizeof one);
  }

  /// An error the server answered with becomes the call's error.
  static Result<Reply> FromAnswer(Result<Reply> reply) {
    if (reply) {
      if (auto* error = std::get_if<Error>(&reply->answer)) return std::move(*error);
    }
    return reply;
  }

  std::uint64_t Submit(rpc::Request request, std::vector<std::byte> bulk, RpcChannel::Lane lane) {
    std::lock_guard lock(mutex_);
    std::uint64_t id = calls_.Add();
    if (failure_) {
      calls_.Complete(id, *failure_);
      return id;
    }
    rpc::Envelope envelope;
    envelope.id = id;
    envelope.message = std::move(request);
    envelope.bulk = std::move(bulk);
    // Posted under the lock, so that requests reach the channel in the order of their ids.
    boost::asio::post(context_, [this, id, lane, envelope = std::move(envelope)]() mutable {
      Result<void> queued = channel_ ? channel_->Enqueue(std::move(envelope), lane)
                                     : Result<void>(Error{Errc::kClosed, "the connection is closed"});
      if (queued) return;
      std::lock_guard inner(mutex_);
      calls_.Complete(id, queued.error());
      Wake();
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

  Awaitable<void> Run(Opener opener, rpc::Hello hello) {
    Result<Opened> opened = co_await opener(context_.get_executor());
    if (!opened) co_return Fail(opened.error());
    if (closing_) co_return Fail(Cancelled());
    company_ = std::move(opened->company);
    channel_ = RpcChannel::Make(context_.get_executor(), std::make_unique<CountingStream>(
                                                             std::move(opened->stream), received_, sent_));
    Result<rpc::Welcome> welcome = co_await GreetServer(*channel_, std::move(hello));
    if (!welcome) {
      channel_->Close();
      co_return Fail(welcome.error());
    }
    {
      std::lock_guard lock(mutex_);
      greeted_ = true;
      Wake();
    }
    while (true) {
      Result<rpc::Envelope> envelope = co_await channel_->Receive();
      if (!envelope) {
        channel_->Close();
        co_return Fail(Lost(envelope.error()));
      }
      if (auto* goodbye = std::get_if<rpc::Goodbye>(&envelope->message)) {
        channel_->Close();
        co_return Fail(Lost(Error{goodbye->code, goodbye->text}));
      }
      Deliver(std::move(*envelope));
    }
  }

  void Deliver(rpc::Envelope envelope) {
    std::lock_guard lock(mutex_);
    if (auto* response = std::get_if<rpc::Response>(&envelope.message)) {
      calls_.Complete(envelope.id, Reply{std::move(response->answer), std::move(envelope.bulk)});
    } else if (auto* event = std::get_if<rpc::Event>(&envelope.message)) {
      QueueEvent(std::move(*event));
    }
    Wake();
  }

  /// The engine may be busy for long while the target prints: output beyond the limit is dropped visibly,
  /// oldest first.
  void QueueEvent(rpc::Event event) {
    if (TellsState(event)) state_events_.fetch_add(1, std::memory_order_release);
    if (auto* output = std::get_if<rpc::Output>(&event)) queued_output_ += output->text.size();
    events_.push_back(std::move(event));
    if (queued_output_ <= kMaxQueuedOutput && events_.size() <= kMaxQueuedEvents) return;
    auto oldest = std::find_if(events_.begin(), events_.end(),
                               [](const rpc::Event& e) { return std::holds_alternative<rpc::Output>(e); });
    if (oldest == events_.end()) {
      events_.pop_front();
      return;
    }
    auto& dropped = std::get<rpc::Output>(*oldest);
    std::uint64_t skipped = dropped.skipped + dropped.text.size();
    queued_output_ -= dropped.text.size();
    auto next = std::find_if(oldest + 1, events_.end(),
                             [](const rpc::Event& e) { return std::holds_alternative<rpc::Output>(e); });
    if (next != events_.end()) std::get<rpc::Output>(*next).skipped += skipped;
    events_.erase(oldest);
  }

  void Fail(Error error) {
    std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
    calls_.FailAll(*failure_);
    state_events_.fetch_add(1, std::memory_order_release);
    Wake();
  }

  milliseconds GoodbyeLimit() const {
    return kGoodbyeLimit + (channel_ ? channel_->peer().drain : milliseconds(0));
  }

  Awaitable<void> SayGoodbye() {
    closing_ = true;
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

  Interrupt& interrupt_;
  int wake_;
  std::atomic<std::uint64_t> received_{0}, sent_{0}, state_events_{0};
  mutable std::mutex mutex_;
  PendingCalls calls_;  // this and the following: under mutex_
  std::deque<rpc::Event> events_;
  std::size_t queued_output_ = 0;
  bool greeted_ = false;
  std::optional<Error> failure_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  std::unique_ptr<RpcChannel> channel_;  // this and the following: RPC thread only
  std::shared_ptr<void> company_;
  bool closing_ = false, ending_ = false;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<RpcClient>> RpcClient::Open(Opener opener, rpc::Hello hello, Interrupt& interrupt) {
  auto client = std::make_unique<ThreadedRpcClient>(interrupt);
  if (Result<void> started = client->Start(std::move(opener), std::move(hello)); !started) {
    client->Close();
    return started.error();
  }
  return std::unique_ptr<RpcClient>(std::move(client));
}

}  // namespace longwire
