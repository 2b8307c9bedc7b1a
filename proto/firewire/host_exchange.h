#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "proto/error.h"
#include "proto/firewire/layout.h"
#include "proto/kd/packet.h"
#include "proto/kd/timers.h"

namespace longwire::firewire {

using kd::Duration;
using kd::TimePoint;

/// One transaction on the bus.
struct BusRequest {
  enum class Kind : std::uint8_t { kReadQuadlet, kReadBlock, kWriteQuadlet, kWriteBlock };
  Kind kind = Kind::kReadQuadlet;
  std::uint64_t address = 0;
  std::size_t length = 0;  ///< of a read
  Bytes data;              ///< of a write
};

enum class BusOutcome : std::uint8_t {
  kComplete,
  kStale,         ///< not sent: the bus was reset since the node was last looked at
  kBusy,          ///< refused for now
  kAddressError,  ///< nothing answers at the address
  kFailed,        ///< anything else; a write may have been done
};

/// The host's side of debugging over IEEE 1394 (kd-protocol.md 7.3, 7.4): polls and empties the packet the
/// target sends, fills the one it receives. Towards the link machine it is the far end of a serial line: a
/// packet that the target took is acknowledged, the target's packets get the ids of a line. The target knows
/// no RESET; a RESET of the link machine becomes a break-in, after which the target reports its state.
///
/// Sans-I/O: asks for one transaction at a time (Next), is told its outcome (Complete), and touches nothing
/// but the three structures. One thread.
class HostExchange {
 public:
  struct Timing {
    Duration poll = std::chrono::milliseconds(1);   ///< while something is expected
    Duration idle = std::chrono::milliseconds(10);  ///< else
    Duration eager = std::chrono::seconds(1);       ///< how long something is expected
    Duration busy_limit = std::chrono::seconds(1);  ///< how long a busy node is asked again
  };
  /// Failures in a row, each answered by a new look at the node, before the link counts as lost: about two
  /// seconds with the pauses between them.
  static constexpr int kMostSetbacks = 10;
  /// Copies of one packet written because the target asked for them.
  static constexpr int kMostCopies = 5;

  HostExchange(std::uint8_t channel, Timing timing) : channel_(channel), timing_(timing) {}
  explicit HostExchange(std::uint8_t channel) : HostExchange(channel, Timing{}) {}

  /// At first, and whenever NeedsDiscovery(): the node's ROM as it is now, and the most bytes of one request
  /// (a multiple of 4). What was under way begins anew.
  void Discover(TimePoint now, std::span<const std::uint32_t> rom, std::size_t most_bytes);
  bool NeedsDiscovery() const { return step_ == Step::kUnknown && !failure_; }
  /// The configuration block was read and fits.
  bool ready() const { return ready_; }
  /// The end: the node is not what is looked for, or does not answer any more.
  const std::optional<Error>& failure() const { return failure_; }

  /// The next transaction; nothing when one is under way, nothing is due before Deadline(), or after an end.
  std::optional<BusRequest> Next(TimePoint now);
  void Complete(TimePoint now, BusOutcome outcome, ByteView data);
  std::optional<TimePoint> Deadline() const;

  /// Bytes of the link machine: whole packets and break-in bytes.
  void Write(TimePoint now, ByteView stream);
  /// Bytes for the link machine.
  Bytes TakeInput() { return std::exchange(input_, {}); }

 private:
  enum class Step : std::uint8_t {
    kUnknown,  ///< the node has to be looked at
    kConfiguration,
    kPollReceive,
    kFill,  ///< Receive, in parts
    kArm,
    kPollSend,
    kHead,
    kPayload,  ///< in parts
    kClear,
  };

  void Finish(TimePoint now, ByteView data);
  void Setback(TimePoint now, BusOutcome outcome);
  void Fail(Errc code, std::string why);
  void Rest(TimePoint now);
  void OnReceiveStatus(std::uint32_t status);
  void OnTaken();
  void OnHead(TimePoint now, ByteView head);
  void OnPacket(TimePoint now);
  void OnGoodPacket();
  void OnBadPacket(TimePoint now);
  void Deliver();
  void DeliverControl(const Bytes& header);
  bool Enqueue(Bytes body);
  bool Wants() const { return armed_ || !outgoing_.empty(); }

  std::uint8_t channel_;
  Timing timing_;
  Step step_ = Step::kUnknown;
  bool ready_ = false, under_way_ = false;
  std::optional<Error> failure_;
  std::uint64_t block_ = 0;
  Configuration where_;
  std::size_t most_bytes_ = 512;
  std::optional<TimePoint> due_, busy_since_;
  TimePoint eager_until_{};
  int setbacks_ = 0;

  std::deque<Bytes> outgoing_;  ///< bodies to be placed; the front may be placed in part
  std::optional<Bytes> armed_;  ///< placed, and not taken yet
  bool perhaps_armed_ = false;  ///< the write that arms the front may have been done
  std::size_t filled_ = 0;      ///< bytes of length and front that are placed
  Bytes newest_;                ///< data packet taken by the target, unanswered
  int copies_ = 0;

  Bytes packet_;                                  ///< being read from Send: header, then payload
  std::size_t announced_ = 0;                     ///< payload bytes of it
  bool bad_ = false;                              ///< it is to be asked for again before it is cleared
  Bytes last_;                                    ///< delivered
  std::uint32_t next_id_ = kd::kInitialPacketId;  ///< of the line
  Bytes input_;
};

}  // namespace longwire::firewire
