#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "proto/rpc/messages.h"
#include "transport/stream.h"

namespace longwire {

struct ChannelLimits {
  std::size_t queued_bytes = 64u << 20;  ///< outgoing; above it Enqueue refuses
  /// Sent when nothing else was for this long, or up to a quarter of it less.
  std::chrono::milliseconds keepalive{1000};
  /// Instead of `keepalive` for an end that has said nothing else for kCalmAfter of them, if its peer knows
  /// of this. A peer that announces more is not waited for longer.
  std::chrono::milliseconds calm{2000};
  /// Nothing received for this long, and PeerInfo::slowness, and what a calm peer takes longer: it is gone.
  std::chrono::milliseconds silence{3000};
  static constexpr int kCalmAfter = 8;
};

/// A Stream plus framing plus a bounded outgoing queue. Belongs to one executor. Keepalives are sent and
/// consumed here.
class RpcChannel {
 public:
  enum class Lane {
    kNormal,
    kUrgent
  };  ///< urgent (break-in, cancel, keepalive, goodbye) overtakes what is queued

  static std::unique_ptr<RpcChannel> Make(Executor executor, std::unique_ptr<Stream> stream,
                                          ChannelLimits limits = {});
  virtual ~RpcChannel() = default;

  /// Next message that is not a keepalive. Messages of kinds this version does not know are answered
  /// (requests) or passed over; before the Welcome little is accepted (rpc::kMaxHelloBytes). Errors end the
  /// channel: kClosed (in order), kTimedOut (silence), kMalformed, kCancelled (own Close), kIo. Only one call
  /// at a time.
  virtual Awaitable<Result<rpc::Envelope>> Receive() = 0;
  /// Never blocks. kLimitExceeded: the queue is full and nothing was queued; the caller decides what that
  /// means.
  virtual Result<void> Enqueue(rpc::Envelope envelope, Lane lane = Lane::kNormal) = 0;
  /// Waits until everything queued is written, at most `limit`.
  virtual Awaitable<Result<void>> Drain(std::chrono::milliseconds limit) = 0;
  virtual std::size_t queued_bytes() const noexcept = 0;
  /// How much longer than ChannelLimits::silence the peer may be silent, because it is calm.
  virtual std::chrono::milliseconds peer_extra() const noexcept = 0;
  virtual void Close() noexcept = 0;
  virtual const PeerInfo& peer() const noexcept = 0;
};

/// Client side of the hello exchange: sends `hello`, returns the Welcome, or the Reject as an error
/// (kVersionMismatch, kAuthentication, ...). Deadline 10 s.
Awaitable<Result<rpc::Welcome>> GreetServer(RpcChannel& channel, rpc::Hello hello);
/// What a server adds to its Welcome once it knows the Hello, whose capabilities are those both sides have.
/// An error refuses the client, which is told.
using WelcomeCompletion = std::function<Result<void>(const rpc::Hello& hello, rpc::Welcome& welcome)>;
/// Server side: receives a Hello, answers Welcome (version chosen, capabilities intersected) or Reject. The
/// Hello returned holds the capabilities both sides have. Deadline 10 s.
Awaitable<Result<rpc::Hello>> GreetClient(
    RpcChannel& channel, rpc::Welcome welcome,
    WelcomeCompletion complete = [](const rpc::Hello&, rpc::Welcome&) { return Result<void>(); });

}  // namespace longwire
