#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "proto/kd/link_machine.h"
#include "proto/kd/manipulate.h"
#include "tests/unit/proto_kd/worked_packets.h"

namespace longwire::kd::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::uint32_t kN = 0x80800000;
inline constexpr std::uint32_t kN1 = 0x80800001;

/// A link machine with a simulated clock, seen from the target: bytes in, what the host sent and reported
/// out.
class SimulatedHost {
 public:
  explicit SimulatedHost(Timers timers = {}) : machine(timers) {}

  void Feed(ByteView bytes) {
    machine.Receive(now, bytes);
    Collect();
  }
  void FeedHex(std::string_view hex) { Feed(FromHex(hex)); }
  void FeedData(PacketType type, std::uint32_t id, ByteView payload) {
    Feed(EncodeDataPacket(type, id, payload));
  }
  void FeedAck(std::uint32_t id) { Feed(EncodeControlPacket(PacketType::kAcknowledge, id)); }
  void FeedReset(std::uint32_t id = 0) { Feed(EncodeControlPacket(PacketType::kReset, id)); }
  void FeedResend() { Feed(EncodeControlPacket(PacketType::kResend, 0)); }

  /// Lets time pass, running timers exactly when they are due.
  void Advance(Duration duration) {
    const TimePoint end = now + duration;
    while (auto due = machine.Deadline()) {
      if (*due > end) break;
      now = std::max(now, *due);
      machine.Tick(now);
      Collect();
    }
    now = end;
    machine.Tick(now);
    Collect();
  }

  /// What was sent since the last call, as words: "ack 80800000", "resend", "reset", "break", "data 2
  /// 80800000 56".
  std::vector<std::string> Sent() {
    std::vector<std::string> words;
    std::size_t at = 0;
    while (at < output.size()) {
      if (output[at] == kBreakInByte) {
        words.emplace_back("break");
        ++at;
        continue;
      }
      const PacketHeader header = DecodeHeader(ByteView(output).subspan(at));
      char text[64];
      if (header.leader == kControlLeader) {
        std::snprintf(text, sizeof text, "ack %08x", header.id);
        if (header.type == PacketType::kResend) std::snprintf(text, sizeof text, "resend");
        if (header.type == PacketType::kReset) std::snprintf(text, sizeof text, "reset");
        words.emplace_back(text);
        at += kHeaderSize;
        continue;
      }
      std::snprintf(text, sizeof text, "data %u %08x %u", static_cast<unsigned>(header.type), header.id,
                    header.byte_count);
      words.emplace_back(text);
      at += kHeaderSize + header.byte_count + 1;
    }
    output.clear();
    return words;
  }

  /// Names of the events since the last call; payloads stay in `events` until then.
  std::vector<std::string> Events() {
    static constexpr const char* kNames[] = {"data",      "reply",        "acknowledged",
                                             "failed",    "synchronized", "restarted",
                                             "linkreset", "lost",         "dropped"};
    std::vector<std::string> words;
    for (const LinkEvent& event : events) {
      std::string word = kNames[static_cast<int>(event.kind)];
      if (event.kind == LinkEvent::Kind::kDataReceived)
        word += " " + std::to_string(static_cast<int>(event.type));
      if (event.kind == LinkEvent::Kind::kRequestFailed)
        word += " " + std::string(ErrcName(event.error.code));
      words.push_back(word);
    }
    events.clear();
    return words;
  }

  /// Brings the link to "stopped, state change delivered" and forgets how.
  void Stop() {
    FeedHex(kE05);
    Sent();
    Events();
  }

  LinkMachine machine;
  TimePoint now{seconds(1000)};
  Bytes output;
  std::vector<LinkEvent> events;

 private:
  void Collect() {
    const Bytes bytes = machine.TakeOutput();
    output.insert(output.end(), bytes.begin(), bytes.end());
    for (auto& event : machine.TakeEvents()) events.push_back(std::move(event));
  }
};

/// Asks for the version; it is sent at once.
inline void Request(SimulatedHost& host) {
  ASSERT_TRUE(host.machine.SendRequest(host.now, EncodeGetVersion()).has_value());
  host.Advance(Duration::zero());
}
/// Lets the target run.
inline void Continue(SimulatedHost& host) {
  ASSERT_TRUE(host.machine.SendNoReply(host.now, EncodeContinue2(Machine::kAmd64, 0, kContinue, false, 0x400))
                  .has_value());
  host.Advance(Duration::zero());
}

/// Brings the link to "running".
inline void Go(SimulatedHost& host) {
  host.Stop();
  Continue(host);
  host.FeedAck(kN);
  host.Sent();
  host.Events();
}

}  // namespace longwire::kd::testing
