#pragma once

#include <cstdint>
#include <deque>

#include "proto/kdnet/datagram.h"
#include "proto/kdnet/handshake.h"

namespace longwire::kdnet {

/// The host's end of one target's KDNET sessions (kd-protocol.md 6.4 to 6.6): answers offers, agrees on data
/// keys, and turns datagrams into KD packets and back. Sans-I/O; randomness is an argument, and nothing
/// depends on time or addresses.
///
/// An offer that is answered replaces no session yet: the first good datagram under the new key does, and
/// proves that it comes from the target. So neither a repeated offer nor a lost answer ends a session.
class HostSession {
 public:
  /// What one datagram was.
  struct Received {
    bool ours = false;     ///< authentic; false: of another key, damaged, or not KDNET
    bool current = false;  ///< the newest of its session: its sender is where the target is
    bool started = false;  ///< the first of a new session; comes with its packet, if it has one
    Bytes answer;          ///< a datagram to be sent back to the sender; empty: none
    Bytes body;            ///< of the data channel, a KD packet; empty: none
  };

  explicit HostSession(const Key& key) : key_(key) {}

  /// `nonce`: 32 fresh random bytes, for the answer to an offer.
  Received Receive(ByteView datagram, const Block& nonce);
  /// A data datagram with `body`, at most kLargestBody bytes. A session must be live.
  Bytes Send(Bytes body);
  /// A datagram that makes a target offer at once (6.5). `version` counts only until the target has told its
  /// own.
  Bytes Poke(std::uint8_t version);

  bool live() const { return live_.has_value(); }

 private:
  struct DataChannel {
    Block key{};
    Block target_nonce{};
    Bytes response;  ///< the body that was sent, for the same offer arriving twice
    std::uint64_t received = 0, sent = 0;
  };
  static constexpr std::size_t kMostPending = 4;

  Received OnControl(const Datagram& datagram, const Block& nonce);
  Received OnData(ByteView bytes);
  Received Deliver(Datagram datagram, bool started);
  DataChannel& PendingFor(const Block& target_nonce, const Block& nonce);

  Key key_;
  std::uint8_t version_ = 0;
  std::optional<DataChannel> live_;
  std::deque<DataChannel> pending_;  ///< offers answered, newest last
  bool awaiting_ = false;            ///< an offer was answered and nothing came under the live key since
  std::uint64_t pokes_ = 0;
};

}  // namespace longwire::kdnet
