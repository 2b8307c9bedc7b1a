#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "client/target/interrupt.h"
#include "client/target/pending_calls.h"
#include "client/target/reconnection.h"
#include "client/target/target.h"
#include "proto/error.h"
#include "proto/rpc/messages.h"
#include "transport/stream.h"

namespace longwire {

/// The engine's end of a session with a server: blocking calls for one thread, carried out by a thread of its
/// own. Every wait ends at its deadline, when the Interrupt is raised, or when the connection is lost for
/// good.
///
///   greeting -> connected <-> away (the stream ended; dialled again) -> failed
///
/// While away, calls wait: their time begins anew when the connection is back, where requests that have no
/// answer yet are sent again under their old ids (docs/protocol.md, "Survival"). An interrupt of a wait ends
/// the dialling, and with it the session.
///
/// The RPC thread runs two coroutines: one that opens the stream and greets, then receives and hands answers
/// and events over under a lock; nothing else touches the channel. All public members belong to the engine's
/// thread, except Urge().
class RpcClient {
 public:
  struct Opened {
    std::unique_ptr<Stream> stream;
    std::shared_ptr<void>
        company;  ///< lives on the RPC thread as long as the connection, and ends on it; may be null
  };
  /// Produces the stream, on the RPC thread.
  using Opener = std::function<Awaitable<Result<Opened>>(Executor)>;
  static constexpr std::chrono::seconds kCallLimit{60};
  /// What to do about a lost connection.
  struct Survival {
    ReconnectTiming timing;
    Opener opener;  ///< dials again
    /// Told from inside the waits of the engine's thread. May be empty.
    std::function<void(const ConnectionNews&)> news;
  };

  /// Opens and greets. Errors of the opener and of the hello come back as they are; kCancelled. Without
  /// `survival` a lost connection is lost for good.
  static Result<std::unique_ptr<RpcClient>> Open(Opener opener, rpc::Hello hello, Interrupt& interrupt,
                                                 std::optional<Survival> survival = std::nullopt);
  virtual ~RpcClient() = default;

  /// Sends without waiting; Wait() for it or Abandon() it.
  virtual std::uint64_t Send(rpc::Request request, std::vector<std::byte> bulk = {}) = 0;
  /// kCancelled after an interrupt: a Cancel was sent and the answer did not come soon. An answer that does
  /// come is returned, so that the caller knows what happened.
  virtual Result<Reply> Wait(std::uint64_t id, std::chrono::milliseconds limit = kCallLimit) = 0;
  virtual bool Answered(std::uint64_t id) = 0;
  virtual void Abandon(std::uint64_t id) = 0;
  /// Sends ahead of everything queued, waits for nothing. Any thread.
  virtual void Urge(rpc::Request request) = 0;

  /// Next event; nullopt at the deadline, or when view() asks for something; kCancelled; the reason once the
  /// connection is gone for good and the queue is empty. A deadline that passes while away ends the wait when
  /// the connection is back; see outage().
  virtual Result<std::optional<rpc::Event>> WaitEvent(std::chrono::steady_clock::time_point deadline) = 0;
  /// Events received so far that say something about the target's state, for a check whether all were looked
  /// at.
  virtual std::uint64_t state_events() const = 0;
  virtual std::optional<Error> failure() const = 0;
  /// A capability of the server of the newest connection (docs/protocol.md) that the Hello asked for.
  virtual bool Has(std::string_view capability) const = 0;
  virtual bool away() const = 0;
  /// What the server said last that this client is at its link, at first that of the Hello: what it comes
  /// back as when its session is forgotten.
  virtual rpc::Role role() const = 0;
  /// Time spent away so far, for whoever has deadlines of his own.
  virtual std::chrono::milliseconds outage() const = 0;

  /// What the server still knows of this client once everything queued was looked at.
  enum class View : std::uint8_t {
    kCurrent,
    kGap,       ///< the session goes on, but events are missing: ask for the present state
    kForgotten  ///< a new session: every call fails until Renew()
  };
  virtual View view() const = 0;
  /// The caller takes care of what view() says; it is kCurrent from now on.
  virtual void Renew() = 0;
  virtual TargetCounters counters() const = 0;

  /// Says goodbye, delivers what is queued (at most 2 s) and ends the thread. Idempotent.
  virtual void Close() = 0;

  Result<Reply> Call(rpc::Request request, std::vector<std::byte> bulk = {},
                     std::chrono::milliseconds limit = kCallLimit) {
    return Wait(Send(std::move(request), std::move(bulk)), limit);
  }
};

}  // namespace longwire
