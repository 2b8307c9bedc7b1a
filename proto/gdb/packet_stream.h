#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/gdb/packet.h"

namespace longwire::gdb {

/// One side of a connection that speaks the GDB remote protocol, either one: bytes in, frames out, and
/// acknowledgements until no-ack mode was agreed. Sans-I/O; who waits for what, and how long, is the owner's.
class PacketStream {
 public:
  explicit PacketStream(std::size_t max_payload = kMaxPayload) : framer_(max_payload) {}

  void Receive(std::span<const std::byte> bytes);
  /// The next packet, notification or interrupt; acknowledgements are dealt with inside.
  std::optional<Frame> Next();

  void Send(std::string_view payload);
  void Notify(std::string_view payload);
  void Interrupt();
  /// After the OK to QStartNoAckMode was received, or sent. The side that sent the OK still gets one '+'.
  void StopAcknowledging() { acknowledges_ = false; }
  bool acknowledges() const { return acknowledges_; }

  std::vector<std::byte> TakeOutput();

  /// The peer asked more than kMaxRetransmissions times in a row for the same packet, or sent as many broken
  /// ones: the line is useless.
  bool failed() const { return retransmissions_ > kMaxRetransmissions || broken_ > kMaxRetransmissions; }
  std::uint64_t checksum_errors() const { return checksum_errors_; }
  std::uint64_t total_retransmissions() const { return total_retransmissions_; }
  static constexpr unsigned kMaxRetransmissions = 8;

 private:
  void Put(std::string_view text);

  Framer framer_;
  std::deque<Frame> frames_;
  std::vector<std::byte> output_;
  std::string last_packet_;  ///< framed, until acknowledged
  bool acknowledges_ = true;
  unsigned retransmissions_ = 0, broken_ = 0;  ///< in a row
  std::uint64_t checksum_errors_ = 0, total_retransmissions_ = 0;
};

}  // namespace longwire::gdb
