#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "server/replay/recorded_session.h"

namespace longwire {

/// The target's end of a KD line (kd-protocol.md 1.5 to 1.8) that plays a recorded session: it stops where
/// the recorded target stopped and says what it said. A question that was asked at this stop gets the
/// recorded answer; memory may also come from an earlier stop; anything else is answered with a failure, and
/// what would change the target has no effect. Sans-I/O; after every call take the output and call Tick no
/// later than Deadline().
class ReplayMachine {
 public:
  /// `speed`: of the recorded time while the target runs, 0 for none of it. `session` must outlive this.
  ReplayMachine(const RecordedSession& session, double speed) : session_(session), speed_(speed) {}

  void Start(kd::TimePoint now);
  void Receive(kd::TimePoint now, kd::ByteView bytes);
  void Tick(kd::TimePoint now);
  std::optional<kd::TimePoint> Deadline() const;
  kd::Bytes TakeOutput() { return std::exchange(output_, {}); }
  /// Everything was played and acknowledged.
  bool Over() const;

 private:
  using Act = RecordedSession::Act;

  const Act& act() const { return session_.acts()[act_]; }
  void EnterAct(kd::TimePoint now, std::size_t number);
  void SendNext(kd::TimePoint now);
  void Send(kd::TimePoint now, kd::PacketType type, kd::Bytes payload);
  void Transmit(kd::TimePoint now);
  void TakeControl(kd::TimePoint now, const kd::Framer::Item& item);
  void TakeData(kd::TimePoint now, kd::Framer::Item item);
  void TakeRequest(kd::TimePoint now, const kd::Bytes& request);
  void LeaveStop(kd::TimePoint now, bool switched);
  kd::Bytes Answer(const kd::Bytes& request);
  kd::Bytes AnswerRead(const kd::Bytes& request, bool physical) const;
  std::optional<std::byte> Remembered(std::uint64_t address, bool physical) const;

  struct Outgoing {
    kd::PacketType type;
    kd::Bytes payload;
    bool from_act = false;  ///< part of the recorded run or its stop, not a reply
  };

  const RecordedSession& session_;
  double speed_;
  kd::Framer framer_{std::chrono::seconds(1)};
  kd::Bytes output_;
  std::uint32_t next_id_ = kd::kInitialPacketId | kd::kSyncBit, expected_id_ = kd::kInitialPacketId;

  std::size_t act_ = 0, played_ = 0;  ///< played_: packets of the act's run that were acknowledged
  bool stopped_ = false;              ///< the act's stop was acknowledged
  bool past_the_last_stop_ = false;
  kd::TimePoint act_began_{};
  std::optional<Outgoing> outstanding_;
  std::optional<kd::TimePoint> send_again_;
  bool awaits_answer_ = false;                      ///< a prompt or a file request was sent
  std::map<std::uint64_t, std::uint32_t> handles_;  ///< of breakpoints the recording does not know
};

}  // namespace longwire
