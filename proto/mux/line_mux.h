#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "proto/mux/frame.h"
#include "proto/mux/session.h"

namespace longwire::mux {

/// One end of a serial line with sessions on its channels, without the line and the clock: bytes that arrive
/// go into Feed(), bytes to send come out of NextBytes(). Control frames go first, then the sessions that
/// have data take turns frame by frame, so that none waits for another's bulk. Every queue is bounded.
class LineMux {
 public:
  static constexpr std::size_t kMaxSessions = 64, kMaxIncoming = 16, kMaxResets = 16;

  explicit LineMux(Timing timing) : timing_(timing) {}

  void Feed(std::span<const std::byte> bytes, Time now);
  /// One frame; empty: nothing to send now.
  std::vector<std::byte> NextBytes(Time now);
  void Tick(Time now);
  /// When Tick() is due; Time::max() without sessions.
  Time wake() const;

  /// False: this end has a listener on the channel already.
  bool Listen(std::uint8_t channel) { return listening_.insert(channel).second; }
  /// Also drops what nobody has taken.
  void StopListening(std::uint8_t channel);
  /// A session that the peer opened, on a channel listened on.
  std::optional<SessionKey> TakeIncoming(std::uint8_t channel);
  /// `session`: a number that is not likely to be in use, for example a random one.
  Result<SessionKey> Open(std::uint8_t channel, std::uint32_t session, Time now);
  /// nullptr: unknown. The pointer holds until the session is abandoned and gone.
  Session* Find(const SessionKey& key);

  bool idle() const { return sessions_.empty() && resets_.empty(); }
  std::uint64_t damaged() const { return reader_.damaged(); }

 private:
  void Take(const Frame& frame, Time now);
  void TakeOpen(const Frame& frame, const SessionKey& key, Time now);
  void Refuse(const Frame& frame, ResetReason reason);
  void DropGone();

  Timing timing_;
  FrameReader reader_;
  std::map<SessionKey, Session> sessions_;
  std::set<std::uint8_t> listening_;
  std::deque<SessionKey> incoming_;
  std::deque<Frame> resets_;
  SessionKey last_;  ///< whose turn it was
};

}  // namespace longwire::mux
