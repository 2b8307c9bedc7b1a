#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "proto/error.h"
#include "proto/mux/frame.h"

namespace longwire::mux {

using Time = std::chrono::steady_clock::time_point;  ///< handed in; nothing here reads a clock
using std::chrono::milliseconds;

struct Timing {
  milliseconds retry{500};             ///< without an answer: send again; doubles up to 8 times this
  milliseconds keep_alive{5'000};      ///< a quiet session asks whether the peer is there
  milliseconds silence_limit{30'000};  ///< a peer not heard for this long is gone
};
/// For a line of `baud` (0: unknown, taken as fast): what the driver holds takes its time to leave.
Timing TimingFor(std::uint32_t baud);

/// What names a session on a line: ends choose numbers on their own, so who opened it belongs to the name.
struct SessionKey {
  std::uint8_t channel = 0;
  std::uint32_t session = 0;
  bool opened_here = false;
  auto operator<=>(const SessionKey&) const = default;
};

/// One reliable byte stream: positions count its bytes (and its end) modulo 2^32, the receiver takes them in
/// order only and says how far it may be sent, the sender goes back to the first unacknowledged byte when the
/// receiver reports a gap or says nothing in time.
class Session {
 public:
  static constexpr std::size_t kWindow = 16u << 10;  ///< bytes held in each direction
  static constexpr std::size_t kMaxGrant = 1u
                                           << 20;  ///< a peer that offers more room than this is not believed

  Session(SessionKey key, Timing timing, Time now);

  // The user's side.
  bool is_open() const { return open_; }
  const std::optional<Error>& failure() const { return failure_; }
  std::size_t Write(std::span<const std::byte> data);  ///< how much was taken; 0 when full
  std::size_t Read(std::span<std::byte> out);          ///< 0: nothing there, see ended()
  bool ended() const { return received_.empty() && peer_ended_; }
  bool shut_down() const { return shut_down_; }
  void ShutdownWrite() { shut_down_ = true; }
  void Abandon();  ///< nobody reads any more; what was written is still delivered, then gone() holds
  bool gone() const;
  bool abandoned() const { return abandoned_; }

  // The line's side.
  void Take(const Frame& frame, Time now);
  void Tick(Time now);
  Time wake() const;
  /// Open, accept, acknowledgement: small and before data.
  std::optional<Frame> NextControl(Time now);
  std::optional<Frame> NextData(Time now);

 private:
  Frame Make(FrameType type) const;
  std::uint32_t data_end() const;  ///< behind the last byte; the end of the stream is the position after it
  bool ReadyToSend() const;
  bool Blocked() const;  ///< has bytes that the peer has no room for
  std::uint32_t Grant();
  void TakeAck(const Frame& frame, Time now);
  void TakeLimit(std::uint32_t limit);
  void TakeData(const Frame& frame);
  void Fail(Errc code, std::string message);

  SessionKey key_;
  Timing timing_;
  bool open_ = false, shut_down_ = false, abandoned_ = false;
  std::optional<Error> failure_;

  std::deque<std::byte> unsent_;  ///< from acked_ on: sent and not acknowledged, then not sent
  std::uint32_t acked_ = 0, next_ = 0, highest_ = 0, limit_ = 0;
  std::deque<std::byte> received_;
  std::uint32_t wanted_ = 0, granted_ = 0;
  bool peer_ended_ = false, gap_reported_ = false, end_acked_ = false;

  bool want_open_ = false, want_accept_ = false, want_ack_ = false, want_nak_ = false, want_probe_ = false;
  Time retry_at_, heard_at_, sent_at_;
  milliseconds retry_;
  std::optional<Time> stuck_since_;  ///< abandoned, and since then nothing was acknowledged
};

}  // namespace longwire::mux
