#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/target/event_queue.h"
#include "client/target/pending_calls.h"
#include "client/target/reconnection.h"
#include "client/target/rpc_client.h"
#include "client/target/wakeup.h"
#include "proto/error.h"
#include "proto/rpc/messages.h"

namespace longwire {

/// What an RpcClient's two threads share: the calls, the events that wait, and what became of the connection.
/// The RPC thread fills it, the engine's thread takes from it and sleeps at wakeup() until something changed.
/// Every member takes the lock for itself.
class RpcMailbox {
 public:
  using View = RpcClient::View;
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  Wakeup& wakeup() { return wakeup_; }

  // ---- filled by the RPC thread

  void SetCapabilities(std::vector<std::string> capabilities);
  void Greeted();
  void Answer(std::uint64_t id, Result<Reply> reply);
  void Push(rpc::Event event);
  /// The connection is gone and dialled again.
  void Leave(ConnectionNews news, Time since);
  /// It is there again. `view`: what the server still knows.
  void Return(View view, ConnectionNews news, Duration away);
  /// It is gone for good; the first reason stays.
  void Fail(Error error);

  // ---- taken by the engine's thread

  /// Whether the first greeting is done, or why it is not going to be.
  std::optional<Result<void>> greeting() const;
  /// A new call. `send` is called under the lock, so that requests leave in the order of their ids; not at
  /// all when nobody would answer, which the call's answer says then.
  std::uint64_t AddCall(const std::function<void(std::uint64_t id)>& send);
  bool waiting(std::uint64_t id) const;
  void Abandon(std::uint64_t id);

  struct CallLook {
    std::optional<Result<Reply>> reply;  ///< taken
    bool away = false;
    unsigned returns = 0;  ///< how often the connection came back
  };
  CallLook LookAtCall(std::uint64_t id);

  struct EventLook {
    /// The oldest event; nullopt inside: the view asks for something; an error: gone for good. Empty: wait.
    std::optional<Result<std::optional<rpc::Event>>> event;
    bool away = false;
  };
  EventLook LookAtEvents();

  std::deque<ConnectionNews> TakeNews();
  std::uint64_t state_events() const { return state_events_.load(std::memory_order_acquire); }
  bool Has(std::string_view capability) const;
  std::optional<Error> failure() const;
  bool away() const;
  Duration outage() const;
  View view() const;
  void Renew();
  /// Requests and round trips.
  TargetCounters counters() const;

 private:
  void Unsettle(View view);

  Wakeup wakeup_;
  std::atomic<std::uint64_t> state_events_{0};
  mutable std::mutex mutex_;
  PendingCalls calls_;  // this and the following: under mutex_
  EventQueue events_;
  std::deque<ConnectionNews> news_;
  std::vector<std::string> capabilities_;
  bool greeted_ = false;
  std::optional<Error> failure_;
  std::optional<Time> away_since_;
  Duration outage_{0};
  unsigned returns_ = 0;
  View view_ = View::kCurrent;
};

}  // namespace longwire
