#include "tests/support/observer_crowd.h"

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "transport/kernel_string.h"
#include "transport/listener.h"
#include "transport/rpc_channel.h"

namespace longwire::test {
namespace {

constexpr std::chrono::seconds kOpenLimit{60};

class Crowd final : public ObserverCrowd {
 public:
  Crowd(KernelString kernel, int count) : kernel_(std::move(kernel)), count_(count) {
    boost::asio::co_spawn(context_, Dial(), boost::asio::detached);
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Crowd() override {
    context_.stop();
    thread_.join();
  }

  Result<void> AwaitOpened() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kOpenLimit, [this] { return opened_ == count_ || failure_; });
    if (failure_) return *failure_;
    if (opened_ != count_) return Error{Errc::kTimedOut, "the observers did not open the link in time"};
    return {};
  }

  Counts counts() const override { return {events_, output_, skipped_, gone_}; }

 private:
  /// One after the other: a server keeps few peers of one address that have not proved themselves.
  Awaitable<void> Dial() {
    for (int i = 0; i < count_; ++i) {
      auto stream = co_await longwire::Dial(context_.get_executor(), *kernel_.server);
      if (!stream) co_return Fail(stream.error());
      boost::asio::co_spawn(context_, Watch(i, std::move(*stream)), boost::asio::detached);
    }
  }

  Awaitable<void> Watch(int number, std::unique_ptr<Stream> stream) {
    const auto channel = RpcChannel::Make(context_.get_executor(), std::move(stream));
    rpc::Hello hello;
    hello.role = rpc::Role::kObserver;
    hello.capabilities = {rpc::kRolesCapability};
    hello.user = "observer" + std::to_string(number);
    if (auto welcome = co_await GreetServer(*channel, hello); !welcome) co_return Fail(welcome.error());
    rpc::OpenLink open;
    open.link = kernel_.trans;
    open.when_busy = rpc::WhenBusy::kObserve;
    (void)channel->Enqueue(rpc::Envelope{1, rpc::Request(open), {}});
    while (true) {
      auto envelope = co_await channel->Receive();
      if (!envelope) break;
      if (auto* response = std::get_if<rpc::Response>(&envelope->message)) {
        if (auto* error = std::get_if<Error>(&response->answer)) co_return Fail(*error);
        const std::lock_guard lock(mutex_);
        ++opened_;
        changed_.notify_all();
      }
      if (auto* event = std::get_if<rpc::Event>(&envelope->message)) Count(*event);
    }
    ++gone_;
  }

  void Count(const rpc::Event& event) {
    ++events_;
    const auto* output = std::get_if<rpc::Output>(&event);
    if (output == nullptr) return;
    output_ += output->text.size();
    skipped_ += output->skipped;
  }

  void Fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(error);
    changed_.notify_all();
  }

  const KernelString kernel_;
  const int count_;
  std::atomic<std::uint64_t> events_{0}, output_{0}, skipped_{0}, gone_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  int opened_ = 0;
  std::optional<Error> failure_;
  boost::asio::io_context context_{1};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ObserverCrowd>> ObserverCrowd::Open(const std::string& kernel, int count) {
  Result<KernelString> parsed = ParseKernelString(kernel);
  if (!parsed) return parsed.error();
  if (!parsed->server) return Error{Errc::kUsage, "observers need a server"};
  auto crowd = std::make_unique<Crowd>(std::move(*parsed), count);
  if (Result<void> opened = crowd->AwaitOpened(); !opened) return opened.error();
  return std::unique_ptr<ObserverCrowd>(std::move(crowd));
}

}  // namespace longwire::test
