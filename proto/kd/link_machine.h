#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proto/error.h"
#include "proto/kd/framer.h"
#include "proto/kd/packet.h"
#include "proto/kd/timers.h"

namespace longwire::kd {

/// What a link did so far.
struct LinkCounters {
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t data_packets_received = 0;  ///< good ones, duplicates included
  std::uint64_t control_packets_received = 0;
  std::uint64_t data_packets_sent = 0;  ///< retransmissions included
  std::uint64_t duplicates = 0;         ///< acknowledged but not delivered again
  std::uint64_t retransmissions = 0;
  std::uint64_t resends_sent = 0;
  std::uint64_t resends_received = 0;
  std::uint64_t resets_sent = 0;
  std::uint64_t resets_received = 0;
  std::uint64_t syncs = 0;  ///< streams (re)started by the target
  std::uint64_t checksum_errors = 0;
  std::uint64_t framing_errors = 0;  ///< bad count, trailer, or cut packets
  std::uint64_t dropped = 0;         ///< good packets nobody waits for, of unknown type or stray replies
  std::uint64_t acknowledges_implied =
      0;  ///< of packets without a reply: by the target's next, or by silence
  std::uint64_t break_ins_sent = 0;
  std::uint64_t junk_bytes = 0;
};

/// One thing the link machine reports to the layer above, in order.
struct LinkEvent {
  enum class Kind : std::uint8_t {
    kDataReceived,   ///< type, payload: state change, debug I/O, file I/O, trace, control request. Delivered
                     ///< exactly once
    kRequestReply,   ///< payload: the manipulate reply to the request in flight
    kAcknowledged,   ///< the packet of SendNoReply or SendData reached the target
    kRequestFailed,  ///< error: the packet in flight (any kind) ended without its result
    kSynchronized,   ///< first good packet, or a RESET exchange succeeded; a pending state change follows by
                     ///< itself
    kTargetRestarted,  ///< SYNC on a stream already known: the target rebooted or gave up on us; comes before
                       ///< its packet
    kLinkReset,        ///< the target sent a RESET on its own; wait for a state change
    kLinkLost,         ///< error: RESETs stay unanswered, or attaching gave up. Receiving goes on
    kDropped,          ///< type, payload, error: a good packet that fits nothing, for the log
  };
  Kind kind = Kind::kDropped;
  PacketType type = PacketType::kUnused;
  Bytes payload;
  Error error;
};

/// The host end of a KD link (kd-protocol.md 1.5 to 1.9, 6.7): packet ids, acknowledges, retransmission,
/// RESET and attach procedures. Sans-I/O: bytes and time go in, bytes and events come out. After every call
/// take the output and the events, and call Tick no later than Deadline(). Times must not run backwards. One
/// thread at a time.
///
/// One data packet may be outstanding; the layer above queues its requests and sends when CanSend(). Every
/// accepted Send ends in exactly one of kRequestReply, kAcknowledged or kRequestFailed. The machine does not
/// know whether the target runs: the layer above must not send to a running target.
class LinkMachine {
 public:
  enum class AttachMode : std::uint8_t {
    kListen,   ///< never sends anything unasked
    kBreakIn,  ///< after Timers::listen of silence: break-in byte, RESET, break-in byte, ... until a state
               ///< change
    kReset,    ///< for a target that is known to be stopped: the same, but a RESET comes first and at once
  };
  /// While nothing at all comes the turns of an attach become rarer after so many, and again after as many:
  /// twice and then four times Timers::alternation, but no more than kRarestTurn unless that is longer;
  /// and not to the millisecond.
  static constexpr int kEagerTurns = 6;
  static constexpr std::chrono::seconds kRarestTurn{8};

  static constexpr int kSilentTries = 3;

  explicit LinkMachine(Timers timers);

  /// Bytes that arrived from the target.
  void Receive(TimePoint now, ByteView bytes);
  /// Runs the timers that are due.
  void Tick(TimePoint now);
  std::optional<TimePoint> Deadline() const;

  /// Bytes for the target, in order; must be written before anything later.
  Bytes TakeOutput();
  std::vector<LinkEvent> TakeEvents();

  /// Starts the attach procedure (5.1). Ends with the first state change delivered, or with Detach.
  void Attach(TimePoint now, AttachMode mode);
  /// Ends the attach procedure without touching the link.
  void StopAttaching() { attach_.reset(); }
  bool Attaching() const { return attach_.has_value(); }

  /// A manipulate request that has a reply. `reply_timeout`: instead of Timers::reply (use
  /// Timers::first_reply for the first request after attaching). Errors: kBusy (CanSend() is false),
  /// kLimitExceeded (payload beyond Timers::most_payload).
  Result<void> SendRequest(TimePoint now, Bytes payload,
                           std::optional<Duration> reply_timeout = std::nullopt);
  /// A manipulate request without reply, such as Continue2. The target's next new data packet counts as its
  /// acknowledge, and so does silence after each of kSilentTries copies in a row: a target that had still to
  /// take it would answer one, and one that runs cannot. While the last copy met silence it is not given up,
  /// so some may be sent beyond Timers::tries.
  Result<void> SendNoReply(TimePoint now, Bytes payload);
  /// An answer of another type: prompt (kDebugIo), kFileIo, kControlRequest. Acknowledged like SendNoReply.
  Result<void> SendData(TimePoint now, PacketType type, Bytes payload);
  /// No packet is in flight, no RESET procedure runs, and what the target repeats after a RESET has come.
  bool CanSend() const { return !outstanding_ && !resetting_ && !repeating_until_; }

  /// One break-in byte.
  void BreakIn(TimePoint now);
  /// Starts the RESET procedure (1.8): fails the packet in flight, realigns both ids, and ends in
  /// kSynchronized or kLinkLost.
  void Reset(TimePoint now);
  /// The stream was closed and opened again (H32): forgets everything but the counters. Fails the packet in
  /// flight.
  void Reopen();

  /// Both ends agreed on ids since the last loss.
  bool Synchronized() const { return synchronized_; }
  /// When the last byte arrived; empty before the first.
  std::optional<TimePoint> LastReceived() const { return last_received_; }
  const LinkCounters& counters() const { return counters_; }
  const Timers& timers() const { return timers_; }
  /// For what is sent from now on: the line runs at another speed.
  void SetTimers(const Timers& timers) { timers_ = timers; }

 private:
  enum class Expect : std::uint8_t { kReply, kAcknowledge };

  struct Outstanding {
    PacketType type;
    Bytes payload;
    Expect expect;
    bool acknowledged = false;
    int tries_left = 0;
    Duration reply_timeout{};
    TimePoint sent_at{};  ///< the newest copy
    int unanswered = 0;   ///< copies in a row that met silence
    TimePoint deadline{};
    std::optional<TimePoint> ask_again;  ///< KDNET: the reply may have been lost on its way
  };
  struct Resetting {
    int tries_left = 0;
    TimePoint deadline{};
  };
  struct Attachment {
    AttachMode mode;
    bool reset_next = false;  ///< false: break-in byte is next
    TimePoint deadline{};
    std::optional<TimePoint> give_up;
    int unanswered = 0;  ///< turns since the last byte of the target
  };
  struct Packet {
    PacketType type;
    Bytes payload;
  };

  void Drain(TimePoint now);
  void OnData(TimePoint now, Framer::Item item);
  void OnSerialData(TimePoint now, Framer::Item item);
  void OnKdnetData(TimePoint now, Framer::Item item);
  void OnGap(TimePoint now, const Framer::Item& item);
  void Take(TimePoint now, Framer::Item item);
  void OnControl(TimePoint now, const Framer::Item& item);
  void OnBad(TimePoint now, Framer::Reason reason, std::uint32_t id);
  bool NeedsNoCopy(std::uint32_t id) const;
  void OnAcknowledge(TimePoint now, std::uint32_t id);
  void OnReset(TimePoint now, std::uint32_t id);
  void AdoptReset(std::uint32_t id);
  void OnSync();
  bool Kdnet() const { return timers_.numbering == Numbering::kKdnet; }
  std::uint32_t FirstId() const { return Kdnet() ? kInitialKdnetId : kInitialPacketId; }
  std::uint32_t After(std::uint32_t id) const { return Kdnet() ? id + 2 : id ^ 1; }
  void Align(std::uint32_t id);
  bool IsRepetition(const Framer::Item& item) const;
  bool EqualsLast(const Framer::Item& item) const;
  void Deliver(TimePoint now, Framer::Item item);
  void DeliverManipulate(TimePoint now, Framer::Item item);
  void Drop(Framer::Item item, std::string why);
  void MarkSynchronized();

  Result<void> Send(TimePoint now, PacketType type, Bytes payload, Expect expect, Duration reply_timeout);
  void Transmit(TimePoint now);
  void TransmitAgain(TimePoint now);
  void CountSilence();
  bool RunsSilently() const;
  void Write(const Bytes& bytes);
  void SendReset(TimePoint now);
  void WriteReset();
  void WriteBreakIn();
  void SendResend(TimePoint now);
  void BeginReset(TimePoint now);
  void Fail(Errc code, std::string message);
  void Emit(LinkEvent::Kind kind);
  void TickOutstanding(TimePoint now);
  void TickReset(TimePoint now);
  void AwaitRepetition(TimePoint now);
  void TickAttach(TimePoint now);
  Duration AttachInterval() const;
  void AttachEagerly(TimePoint now);

  Timers timers_;
  Framer framer_;
  LinkCounters counters_;
  Bytes output_;
  std::vector<LinkEvent> events_;

  std::uint32_t next_tx_ = FirstId();
  std::uint32_t expect_rx_ = FirstId();
  bool quiet_since_command_ = false;  ///< the target took a packet without reply, and nothing came since
  bool target_waits_ = false;         ///< the last packet was a stop or a reply: the target waits for ours
  std::optional<std::uint32_t> delivered_;  ///< KDNET: the newest id taken since attaching
  bool rx_known_ = false;  ///< expect_rx_ is agreed; otherwise the next packet's id is taken as it is
  bool realigned_ = true;  ///< no packet was taken since ids were realigned
  bool synchronized_ = false;
  bool stream_seen_ = false;  ///< a good data packet came since construction or Reopen
  bool good_packet_seen_ = false;
  std::optional<Outstanding> outstanding_;
  std::optional<Resetting> resetting_;
  /// After a RESET the target sends its unfinished packet again; a reply among them must not meet a new
  /// request.
  std::optional<TimePoint> repeating_until_;
  std::optional<Attachment> attach_;
  /// The packet delivered first after ids were realigned: seen again before anything else happened, it is a
  /// repetition.
  std::optional<Packet> first_packet_;
  Packet last_packet_{PacketType::kUnused, {}};  ///< delivered last
  std::optional<TimePoint> last_reset_sent_;
  int resets_unanswered_ = 0;
  std::optional<TimePoint> last_resend_;
  std::optional<TimePoint> resend_due_;
  std::optional<TimePoint> last_received_;
};

}  // namespace longwire::kd
