#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/kdnet_target.h"
#include "tests/support/scripted_target.h"

namespace longwire::test {

/// What the network does to every datagram, in both directions, counted together; 0: never.
struct KdnetNetwork {
  int drop_each = 0;       ///< every so many-th is lost
  int duplicate_each = 0;  ///< comes twice
  int swap_each = 0;       ///< comes after the next one
};

/// A target that speaks KDNET over a UDP socket of the loopback interface: a scripted target on a thread of
/// its own. Stops with this object.
class KdnetMachine {
 public:
  /// `offers`: the time between two; a real target takes three seconds.
  KdnetMachine(const std::string& key, std::uint16_t host_port, KdnetNetwork network = {},
               std::chrono::milliseconds offers = std::chrono::milliseconds(200));
  KdnetMachine(const KdnetMachine&) = delete;
  KdnetMachine& operator=(const KdnetMachine&) = delete;
  ~KdnetMachine();

  /// The target, while its thread waits.
  void With(const std::function<void(ScriptedTarget&)>& work);
  /// Starts anew, from another UDP port and without a session.
  void Reboot();
  /// Goes on from another UDP port, in the same session.
  void Move();

  int sessions() const { return sessions_; }
  std::uint16_t port() const { return port_; }

 private:
  void Open();
  void Run();
  void Read();
  void OnDatagram(kd::ByteView datagram);
  void Flush();
  void Transmit(kd::Bytes datagram);
  /// What arrives when this one is sent; in its order.
  std::vector<kd::Bytes> Pass(kd::Bytes datagram, std::optional<kd::Bytes>& held);

  std::mutex mutex_;
  ScriptedTarget target_;
  KdnetTarget wire_;
  std::uint16_t host_port_;
  KdnetNetwork network_;
  std::chrono::milliseconds offers_;
  int datagrams_ = 0;
  std::optional<kd::Bytes> held_in_, held_out_;
  int socket_ = -1;
  std::atomic<std::uint16_t> port_{0};
  std::atomic<int> sessions_{0};
  std::chrono::steady_clock::time_point next_offer_{}, next_retransmission_{};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

}  // namespace longwire::test
