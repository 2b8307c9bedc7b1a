// A connection that is lost and comes back, with scripted peers over memory streams: no sockets, and time
// only where a wait must not end too early.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <mutex>
#include <thread>

#include "client/target/remote_target.h"
#include "transport/memory_stream.h"
#include "transport/rpc_channel.h"

namespace longwire {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::uint64_t kHangUp = 0x111000, kHangUpAfterWork = 0x222000;

/// A server with one session; lives on the client's RPC thread. A read of kHangUp ends the first connection
/// before it is looked at, one of kHangUpAfterWork when only the answer is missing.
class ScriptedServer : public std::enable_shared_from_this<ScriptedServer> {
 public:
  Awaitable<void> Serve(Executor executor, std::unique_ptr<Stream> stream) {
    const auto self = shared_from_this();
    while (greetings > 0 && holds_greeting) co_await boost::asio::post(executor, boost::asio::use_awaitable);
    auto channel = RpcChannel::Make(executor, std::move(stream));
    channel_ = channel.get();
    rpc::Welcome base;
    base.capabilities = {rpc::kResumeCapability, rpc::kRolesCapability};
    auto hello = co_await GreetClient(*channel, base, [this](const rpc::Hello& said, rpc::Welcome& welcome) {
      const bool known = !said.resume_token.empty() && knows_token;
      welcome.resumed = known;
      welcome.next_event = known ? said.last_event + 1 + missing_events : 0;
      next_event_ = known ? welcome.next_event : 1;
      welcome.resume_token = {std::byte{7}};
      if (!known) opened_ = false;
      last_seen = said.last_event;
    });
    if (!hello) co_return;
    ++greetings;
    for (const rpc::Event& event : missed) Tell(event);
    missed.clear();
    while (true) {
      auto envelope = co_await channel->Receive();
      if (!envelope || std::holds_alternative<rpc::Goodbye>(envelope->message)) break;
      auto* request = std::get_if<rpc::Request>(&envelope->message);
      if (request && !Handle(*channel, *envelope, *request)) break;
    }
    (void)co_await channel->Drain(1s);
    channel->Close();
    ++ends;
  }

  // Script; set before the loss.
  std::atomic<bool> knows_token{true};
  std::atomic<std::uint64_t> missing_events{0};
  std::vector<rpc::Event> missed;  ///< told when the client is back
  std::uint64_t stop_counter = 1;
  rpc::TargetState state = rpc::TargetState::kHalted;
  std::atomic<bool> link_in_use{false};
  std::atomic<bool> holds_greeting{false};  ///< answers no Hello but the first

  // What happened.
  std::atomic<int> greetings{0}, ends{0}, reads{0}, resent{0}, openings{0}, resumes{0}, breakpoints{0};
  std::atomic<std::uint64_t> last_seen{0};

 private:
  void Reply(RpcChannel& channel, std::uint64_t id, rpc::Answer answer, std::vector<std::byte> bulk = {}) {
    rpc::Envelope envelope{id, rpc::Response{std::move(answer)}, std::move(bulk)};
    record_[id] = envelope;
    if (!std::exchange(answer_is_lost_, false)) (void)channel.Enqueue(std::move(envelope));
  }
  void Tell(rpc::Event event) { (void)channel_->Enqueue(rpc::Envelope{next_event_++, std::move(event), {}}); }

  rpc::StopEvent Stop() const {
    rpc::StopEvent stop;
    stop.stop_counter = stop_counter;
    return stop;
  }

  bool Handle(RpcChannel& channel, const rpc::Envelope& envelope, const rpc::Request& request) {
    resent += envelope.resent ? 1 : 0;
    if (auto known = record_.find(envelope.id); known != record_.end()) {
      (void)channel.Enqueue(known->second);
      return true;
    }
    if (std::holds_alternative<rpc::OpenLink>(request)) {
      ++openings;
      opened_ = true;
      if (openings == lost_opening) {
        Tell(rpc::Output{"last words"});
        return false;
      }
      if (link_in_use) {
        Reply(channel, envelope.id, Error{Errc::kLinkInUse, "the link is in use by eve@far"});
        return true;
      }
      rpc::LinkOpened opened{"COM:Port=test", 3, state, rpc::TargetDescription{}, Stop()};
      opened.role = rpc::Role::kDriver;
      if (state != rpc::TargetState::kHalted) opened.stop.reset();
      Reply(channel, envelope.id, std::move(opened));
    } else if (!opened_) {
      Reply(channel, envelope.id, Error{Errc::kTargetOffline, "no kernel link is open"});
    } else if (auto* read = std::get_if<rpc::ReadMemory>(&request)) {
      return Read(channel, envelope.id, *read);
    } else if (std::holds_alternative<rpc::Resume>(request)) {
      ++resumes;
      answer_is_lost_ = lose_resume;
      Reply(channel, envelope.id, rpc::Done{});
      return !std::exchange(lose_resume, false) && !std::exchange(hang_up_after_resume, false);
    } else if (std::holds_alternative<rpc::SetBreakpoint>(request)) {
      Reply(channel, envelope.id, rpc::Value{static_cast<std::uint64_t>(++breakpoints)});
    } else {
      Reply(channel, envelope.id, rpc::Done{});
    }
    return true;
  }

  bool Read(RpcChannel& channel, std::uint64_t id, const rpc::ReadMemory& read) {
    const std::uint64_t address = read.ranges[0].address & ~0xFFFull;
    if (address == kHangUp && greetings == 1) return false;
    ++reads;
    const bool hang_up = address == kHangUpAfterWork && greetings == 1;
    answer_is_lost_ = hang_up;
    rpc::MemoryRead answer;
    std::vector<std::byte> bulk;
    for (const rpc::ReadRange& range : read.ranges) {
      answer.sizes.push_back(range.size);
      bulk.insert(bulk.end(), range.size, std::byte{0x5A});
    }
    Reply(channel, id, std::move(answer), std::move(bulk));
    return !hang_up;
  }

 public:
  int lost_opening = 0;  ///< an event and the end of the connection instead of this answer to OpenLink
  bool hang_up_after_resume = false;
  bool lose_resume = false;  ///< the answer to the next Resume, with the connection

 private:
  RpcChannel* channel_ = nullptr;
  std::map<std::uint64_t, rpc::Envelope> record_;
  std::uint64_t next_event_ = 1;
  bool opened_ = false, answer_is_lost_ = false;
};

class Survival : public testing::Test {
 protected:
  RpcClient::Opener Dial() {
    return [this](Executor executor) -> Awaitable<Result<RpcClient::Opened>> {
      if (++dials_ == interrupting_dial_) interrupt_.Raise();
      if (server_->greetings > 0 && refusals_ > 0) {
        --refusals_;
        co_return Error{refusal_, "connection refused"};
      }
      auto [near, far] = MakeMemoryStreams(executor);
      boost::asio::co_spawn(executor, server_->Serve(executor, std::move(far)), boost::asio::detached);
      co_return RpcClient::Opened{std::move(near), nullptr};
    };
  }

  void Connect(std::chrono::milliseconds wait = 120s) {
    RpcClient::Survival survival;
    survival.timing = {1ms, 1ms, wait};
    survival.opener = Dial();
    survival.news = [this](const ConnectionNews& news) { news_.push_back(news); };
    rpc::Hello hello;
    hello.capabilities = {rpc::kResumeCapability, rpc::kRolesCapability};
    auto client = RpcClient::Open(Dial(), hello, interrupt_, std::move(survival));
    ASSERT_TRUE(client) << client.error().message;
    target_ = std::make_unique<RemoteTarget>(std::move(*client), "test");
    ASSERT_TRUE(target_->Open({}));
  }

  Result<std::size_t> Read(std::uint64_t address) {
    std::byte bytes[8];
    return target_->Read(AddressSpace::Virtual(), address, bytes);
  }
  Result<std::optional<rpc::Event>> NextEvent() {
    return target_->WaitEvent(std::chrono::steady_clock::now() + 20s);
  }
  std::vector<ConnectionNews::Kind> Kinds() const {
    std::vector<ConnectionNews::Kind> kinds;
    for (const ConnectionNews& news : news_) kinds.push_back(news.kind);
    return kinds;
  }
  void ExpectLostAndRestored() {
    EXPECT_THAT(Kinds(), testing::ElementsAre(ConnectionNews::Kind::kLost, ConnectionNews::Kind::kRestored));
  }

  Interrupt interrupt_;
  std::shared_ptr<ScriptedServer> server_ = std::make_shared<ScriptedServer>();
  std::atomic<int> dials_{0}, refusals_{0}, interrupting_dial_{-1};
  std::atomic<Errc> refusal_{Errc::kUnreachable};
  std::vector<ConnectionNews> news_;
  std::unique_ptr<RemoteTarget> target_;
};

TEST_F(Survival, ARequestThatNeverArrivedIsCarriedOutAfterTheReturn) {
  Connect();
  refusals_ = 5;
  const auto read = Read(kHangUp);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, 8u);
  EXPECT_EQ(server_->reads, 1);
  EXPECT_EQ(server_->resent, 1);
  EXPECT_EQ(dials_, 7);
  ExpectLostAndRestored();
}

TEST_F(Survival, ARequestThatWasCarriedOutIsNotRepeated) {
  Connect();
  ASSERT_TRUE(Read(kHangUpAfterWork));
  EXPECT_EQ(server_->reads, 1);
  EXPECT_EQ(server_->resent, 1);
  ExpectLostAndRestored();
}

TEST_F(Survival, AResumeIsNotRepeated) {
  server_->lose_resume = true;
  Connect();
  ASSERT_TRUE(target_->Resume({}));
  EXPECT_EQ(server_->resumes, 1);
  EXPECT_EQ(target_->state(), rpc::TargetState::kRunning);
  ExpectLostAndRestored();
}

TEST_F(Survival, MissedEventsComeOnceAndInOrder) {
  server_->lose_resume = true;
  server_->missed = {rpc::Resumed{1}, rpc::Output{"one"}, rpc::Output{"two"}};
  Connect();
  server_->missed = {};
  ASSERT_TRUE(target_->Resume({}));
  std::string text;
  while (text.size() < 6) {
    const auto event = NextEvent();
    ASSERT_TRUE(event && *event);
    if (auto* output = std::get_if<rpc::Output>(&**event)) text += output->text;
  }
  EXPECT_EQ(text, "onetwo");
  EXPECT_EQ(server_->last_seen, 3u) << "the client did not say what it had seen";
  const auto more = target_->WaitEvent(std::chrono::steady_clock::now());
  ASSERT_TRUE(more);
  EXPECT_FALSE(*more);
}

TEST_F(Survival, AGapMakesItAskForThePresentState) {
  server_->missing_events = 40;
  Connect();
  server_->stop_counter = 9;
  ASSERT_TRUE(Read(kHangUp));
  const auto event = NextEvent();
  ASSERT_TRUE(event && *event);
  ASSERT_TRUE(std::holds_alternative<rpc::StopEvent>(**event));
  EXPECT_EQ(target_->stop()->stop_counter, 9u);
  EXPECT_EQ(server_->openings, 2);
  EXPECT_EQ(target_->renewals(), 0u) << "the session goes on: its breakpoints are there";
  EXPECT_THAT(news_.back().text, HasSubstr("lost"));
}

TEST_F(Survival, AForgottenSessionBeginsAnew) {
  server_->knows_token = false;
  Connect();
  server_->stop_counter = 1;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read) << "nobody knows whether it was carried out";
  EXPECT_THAT(read.error().message, HasSubstr("does not know this session"));
  EXPECT_EQ(server_->reads, 0);
  const auto event = NextEvent();
  ASSERT_TRUE(event && *event);
  EXPECT_TRUE(std::holds_alternative<rpc::StopEvent>(**event)) << "an equal number is another stop";
  EXPECT_EQ(target_->renewals(), 1u);
  EXPECT_EQ(server_->openings, 2);
  EXPECT_TRUE(Read(0x5000));
  EXPECT_THAT(Kinds(), testing::ElementsAre(ConnectionNews::Kind::kLost, ConnectionNews::Kind::kReopened));
}

TEST_F(Survival, ASecondLossWhileTheLinkIsOpenedAnewIsNoRefusal) {
  server_->knows_token = false;
  server_->lost_opening = 2;
  Connect();
  ASSERT_FALSE(Read(kHangUp));
  bool stopped = false;
  while (!stopped) {
    const auto event = NextEvent();
    ASSERT_TRUE(event) << event.error().message;
    ASSERT_TRUE(*event);
    stopped = std::holds_alternative<rpc::StopEvent>(**event);
  }
  EXPECT_EQ(server_->openings, 3);
  EXPECT_EQ(server_->greetings, 3);
  EXPECT_EQ(target_->renewals(), 1u);
  EXPECT_TRUE(Read(0x5000));
}

TEST_F(Survival, AForgottenSessionWhoseLinkIsTakenEndsWithTheReason) {
  server_->knows_token = false;
  Connect();
  server_->link_in_use = true;
  ASSERT_FALSE(Read(kHangUp));
  const auto event = NextEvent();
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, testing::AllOf(HasSubstr("session is over"), HasSubstr("eve@far")));
  EXPECT_EQ(target_->state(), rpc::TargetState::kOffline);
}

TEST_F(Survival, AnInterruptEndsTheWaitAtOnce) {
  Connect();
  refusals_ = 1'000'000;
  interrupting_dial_ = 10;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("ended by Ctrl-C"));
  interrupt_.Clear();
  const auto event = NextEvent();
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, HasSubstr("ended by Ctrl-C"));
}

TEST_F(Survival, AnInterruptEndsAConnectionThatComesBackJustThen) {
  server_->holds_greeting = true;
  Connect();
  interrupting_dial_ = 2;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("ended by Ctrl-C"));
  server_->holds_greeting = false;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (server_->ends < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(server_->greetings, 2);
  EXPECT_EQ(server_->ends, 2) << "the server believes that its driver is there";
  EXPECT_EQ(server_->reads, 0);
}

TEST_F(Survival, ItIsGivenUpWhenTheTimeIsOver) {
  Connect(30ms);
  refusals_ = 1'000'000;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, testing::AllOf(HasSubstr("is lost"), HasSubstr("connection refused")));
}

TEST_F(Survival, ARefusalForGoodEndsItAtOnce) {
  Connect();
  refusals_ = 1'000'000;
  refusal_ = Errc::kAuthentication;
  const auto read = Read(kHangUp);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kAuthentication);
  EXPECT_EQ(dials_, 2);
}

TEST_F(Survival, ADeadlineThatPassesMeanwhileEndsTheWaitAfterTheReturn) {
  server_->hang_up_after_resume = true;
  Connect();
  refusals_ = 50;  // a pause of 1 ms before each
  ASSERT_TRUE(target_->Resume({}));
  const auto deadline = std::chrono::steady_clock::now() + 5ms;
  while (true) {
    const auto event = target_->WaitEvent(deadline);
    ASSERT_TRUE(event) << event.error().message;
    if (!*event && std::chrono::steady_clock::now() >= deadline && !news_.empty()) break;
  }
  ExpectLostAndRestored();
  EXPECT_GE(target_->outage(), 50ms) << "who has deadlines must know";
}

TEST_F(Survival, WhoOnlyWatchesIsRefusedWithoutARoundTrip) {
  Connect();
  const std::uint64_t before = target_->counters().requests;
  rpc::DriverChanged taken;
  taken.driver = "eve@far";
  taken.why = rpc::DriverChanged::Why::kTaken;
  taken.driver_epoch = 4;
  server_->missed = {taken};
  ASSERT_TRUE(Read(kHangUp));  // comes back with the news
  ASSERT_TRUE(NextEvent());
  EXPECT_FALSE(target_->driving());
  const auto resumed = target_->Resume({});
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().code, Errc::kFenced);
  EXPECT_THAT(resumed.error().message, testing::AllOf(HasSubstr("eve@far drives"), HasSubstr(".driver /t")));
  EXPECT_EQ(server_->resumes, 0);
  EXPECT_EQ(target_->counters().requests, before + 1);
  EXPECT_TRUE(Read(0x9000)) << "an observer may read";
}

}  // namespace
}  // namespace longwire
