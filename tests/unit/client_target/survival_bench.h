#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "client/target/remote_target.h"
#include "transport/memory_stream.h"
#include "transport/rpc_channel.h"

namespace longwire {

using namespace std::chrono_literals;

inline constexpr std::uint64_t kHangUp = 0x111000, kHangUpAfterWork = 0x222000, kTellNews = 0x333000;

/// A server with one session; lives on the client's RPC thread. A read of kHangUp ends the first connection
/// before it is looked at, one of kHangUpAfterWork when only the answer is missing; one of kTellNews is
/// answered behind the events of `news`.
class ScriptedServer : public std::enable_shared_from_this<ScriptedServer> {
 public:
  Awaitable<void> Serve(Executor executor, std::unique_ptr<Stream> stream) {
    const auto self = shared_from_this();
    while (greetings > 0 && holds_greeting) co_await boost::asio::post(executor, boost::asio::use_awaitable);
    auto channel = RpcChannel::Make(executor, std::move(stream));
    channel_ = channel.get();
    rpc::Welcome base;
    base.capabilities = {rpc::kResumeCapability, rpc::kRolesCapability};
    auto hello = co_await GreetClient(*channel, base,
                                      [this](const rpc::Hello& said, rpc::Welcome& welcome) -> Result<void> {
                                        const bool known = !said.resume_token.empty() && knows_token;
                                        welcome.resumed = known;
                                        welcome.next_event = known ? said.last_event + 1 + missing_events : 0;
                                        next_event_ = known ? welcome.next_event : 1;
                                        welcome.resume_token = {std::byte{7}};
                                        if (!known) opened_ = false;
                                        last_seen = said.last_event;
                                        said_role = said.role;
                                        return {};
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
  std::vector<rpc::Event> news;
  std::uint64_t stop_counter = 1;
  rpc::TargetState state = rpc::TargetState::kHalted;
  std::atomic<bool> link_in_use{false};
  std::atomic<int> not_open{0};  ///< so many OpenLinks find no link from now on
  std::atomic<bool> drives{true};
  std::atomic<std::uint64_t> driver_epoch{3};
  std::atomic<bool> holds_greeting{false};  ///< answers no Hello but the first

  // What happened.
  std::atomic<int> greetings{0}, ends{0}, reads{0}, resent{0}, openings{0}, resumes{0}, breakpoints{0};
  std::atomic<std::uint64_t> last_seen{0};
  std::atomic<rpc::Role> said_role{rpc::Role::kAdmin};  ///< in the newest Hello
  std::atomic<bool> only_watches{false};                ///< the newest OpenLink

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
    stop.driver_epoch = driver_epoch;
    return stop;
  }

  bool Handle(RpcChannel& channel, const rpc::Envelope& envelope, const rpc::Request& request) {
    resent += envelope.resent ? 1 : 0;
    if (auto known = record_.find(envelope.id); known != record_.end()) {
      (void)channel.Enqueue(known->second);
      return true;
    }
    if (const auto* open = std::get_if<rpc::OpenLink>(&request)) {
      ++openings;
      only_watches = open->watch;
      opened_ = true;
      if (openings == lost_opening) {
        Tell(rpc::Output{"last words"});
        return false;
      }
      if (link_in_use) {
        Reply(channel, envelope.id, Error{Errc::kLinkInUse, "the link is in use by eve@far"});
        return true;
      }
      if (not_open > 0) {
        --not_open;
        Reply(channel, envelope.id, Error{Errc::kNotFound, "nobody has the link COM:Port=test open"});
        opened_ = false;
        return true;
      }
      rpc::LinkOpened opened{"COM:Port=test", driver_epoch, state, rpc::TargetDescription{}, Stop()};
      opened.role = drives ? rpc::Role::kDriver : rpc::Role::kObserver;
      opened.driver = drives ? "me@here" : "eve@far";
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
    if (address == kTellNews) {
      for (rpc::Event& event : std::exchange(news, {})) Tell(std::move(event));
    }
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

  void Connect(std::chrono::milliseconds wait = 120s, rpc::Role role = rpc::Role::kDriver) {
    RpcClient::Survival survival;
    survival.timing = {1ms, 1ms, wait};
    survival.opener = Dial();
    survival.news = [this](const ConnectionNews& news) { news_.push_back(news); };
    const ReconnectTiming timing = survival.timing;
    rpc::Hello hello;
    hello.role = role;
    hello.capabilities = {rpc::kResumeCapability, rpc::kRolesCapability};
    auto client = RpcClient::Open(Dial(), hello, interrupt_, std::move(survival));
    ASSERT_TRUE(client) << client.error().message;
    target_ = std::make_unique<RemoteTarget>(std::move(*client), "test", timing);
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

}  // namespace longwire
