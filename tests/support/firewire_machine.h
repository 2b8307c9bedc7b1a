#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proto/firewire/host_exchange.h"
#include "tests/support/scripted_target.h"

namespace longwire::test {

/// A machine on a simulated IEEE 1394 bus that waits for a debugger (kd-protocol.md 7.2, 7.3): its ROM, the
/// three structures in its memory, and behind them a scripted target. Written from the document alone.
/// Nothing waits; the target looks at its memory after each transaction, unless it is held.
class FirewireMachine {
 public:
  static constexpr std::uint32_t kBlock = 0x00ABC3E0;
  static constexpr std::uint64_t kSend = 0x00ABD000, kReceive = 0x00ABE000;

  explicit FirewireMachine(std::uint32_t channel);

  /// Quadlets in host order.
  std::vector<std::uint32_t> rom;
  kd::Bytes block, send, receive;
  ScriptedTarget target;
  bool held = false;  ///< the target does not look at its memory

  /// Carries a transaction out. An address outside the structures is an address error.
  firewire::BusOutcome Perform(const firewire::BusRequest& request, kd::Bytes& data);
  /// The target looks at its memory, as it does all the time.
  void Work();
  void ResetBus() { stale_ = true; }
  /// The host has looked at the node after a reset.
  void Look() { stale_ = false; }
  /// Answers that come instead of the next transactions; kComplete lets one pass.
  std::deque<firewire::BusOutcome> instead;
  /// Called before a transaction is carried out.
  std::function<void(const firewire::BusRequest&)> on_request;

  /// "read 104", "fill", "arm", "clear", "status send", ...: transactions that were carried out.
  std::vector<std::string> log;
  std::size_t Count(const std::string& what) const;
  int control_received = 0;  ///< RESENDs of the host
  int packets_taken = 0, break_ins_taken = 0;

  /// Places a packet in Send by hand.
  void PlaceSend(kd::ByteView packet, std::uint32_t length);
  std::uint32_t SendStatus() const { return kd::Load32(send, 0); }
  std::uint32_t ReceiveStatus() const { return kd::Load32(receive, 0); }

 private:
  kd::Bytes* Find(std::uint64_t address, std::size_t length, std::size_t& offset);
  void Note(const firewire::BusRequest& request);
  void TakeSaid(bool copy);
  void SendNext();
  void TakeReceived();

  bool stale_ = false;
  struct Waiting {
    kd::Bytes packet;  ///< of the target, without trailer
    bool copy;         ///< of the one before, whose id it has
  };
  std::deque<Waiting> waiting_;
  std::uint32_t line_id_ = 0;  ///< of the scripted target's packet in Send
  bool sending_ = false;
  std::uint32_t next_id_ = 0x80800800, expected_ = kd::kInitialPacketId;
};

}  // namespace longwire::test
