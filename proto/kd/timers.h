#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "proto/kd/packet.h"

namespace longwire::kd {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// How the packets of a link are counted.
enum class Numbering : std::uint8_t {
  kSerial,  ///< two ids take turns, a SYNC bit marks a new stream (1.5)
  kKdnet,   ///< ids rise by two, a RESET carries its sender's next one (6.7)
};

/// Timers, limits and numbering of the host's link machine (kd-protocol.md 1.9). All can be changed by tests
/// and options.
struct Timers {
  Duration gap = std::chrono::seconds(1);          ///< silence inside a packet that ends it
  Duration acknowledge = std::chrono::seconds(2);  ///< until a sent packet is sent again; frame time is added
  int tries = 5;                                   ///< transmissions of one packet before the RESET procedure
  Duration reply = std::chrono::seconds(5);        ///< from acknowledge to reply; frame time is added
  Duration first_reply =
      std::chrono::seconds(1);                ///< the same for the first request after attaching (5.1, Q2)
  Duration listen = std::chrono::seconds(1);  ///< attach: silence before the first break-in
  Duration alternation = std::chrono::seconds(2);  ///< attach: between break-in and RESET
  Duration reset_wait = std::chrono::seconds(2);   ///< RESET procedure: for the answer to one RESET
  int reset_tries = 3;                             ///< RESETs of one procedure before the link counts as lost
  Duration reset_guard = std::chrono::seconds(1);  ///< a RESET within this time after ours is not answered
  Duration resend_interval = std::chrono::milliseconds(100);  ///< least time between two RESENDs
  Duration quiet = std::chrono::milliseconds(50);  ///< silence wanted before the first request (Q1)
  Duration reconnect =
      std::chrono::milliseconds(250);      ///< for the link owner: break-in repeat while reconnecting
  std::optional<Duration> attach_give_up;  ///< none: wait for the target for ever
  std::uint32_t baud = 0;                  ///< for frame times; 0: bytes take no time
  Numbering numbering = Numbering::kSerial;
  std::size_t most_payload = kMaxPayload;  ///< of a packet we send

  static Timers ForPipe();
  /// Defaults at 115200 baud; slower lines scale waits up (at most four times) besides the exact frame time.
  static Timers ForSerial(std::uint32_t baud);

  /// KDNET, whose datagrams carry `most_payload` bytes of a packet besides its header.
  static Timers ForKdnet(std::size_t most_payload);

  /// Time `bytes` take on the line (10 bits each).
  Duration FrameTime(std::size_t bytes) const;
};

}  // namespace longwire::kd
