#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace longwire::test {

enum class Fault : std::uint8_t { kDrop, kCorrupt, kDuplicate, kDelay, kGarbage, kTruncate };
inline constexpr std::size_t kFaultKinds = 6;
const char* FaultName(Fault fault);

/// What a line did so far, both directions together.
struct FaultCounts {
  std::uint64_t packets = 0;                     ///< packets and break-in bytes that came by
  std::array<std::uint64_t, kFaultKinds> hit{};  ///< by Fault
  std::uint64_t total() const;
};

/// A bad serial line between two local sockets: listens on one path, and for each peer connects to the other.
/// Cuts each direction into KD packets (kd-protocol.md 1; a byte outside of packets, such as a break-in, is a
/// packet of its own) and hits a share of them: dropped, one byte changed (not the type), sent twice, held up
/// with everything behind it, junk in front, or cut short. The n-th packet of a direction meets the same fate
/// for the same seed. Runs on its own thread until destroyed.
class FaultLine {
 public:
  FaultLine(const std::string& listen_path, std::string connect_path, std::uint64_t seed);
  FaultLine(const FaultLine&) = delete;
  FaultLine& operator=(const FaultLine&) = delete;
  ~FaultLine();

  /// Share of the packets that are hit from now on; 0, as at first, passes everything.
  void SetRate(double share) { rate_ = share; }
  /// The cable of a serial port comes off and goes back on: bytes vanish both ways and nobody is told.
  void SetDead(bool dead) { dead_ = dead; }
  /// The cable of a pipe comes off: both ends see the stream close, and nobody can connect until it is back.
  void SetUnplugged(bool unplugged);
  /// Bytes nobody sent, to the side that listens for them (the host).
  void Disturb(std::vector<std::uint8_t> junk);

  FaultCounts counts() const;
  /// The last packets, one a line, for the report of a failed test.
  std::string history() const;
  /// Taken on `listen_path`, whether or not anybody was there to connect to.
  int connections() const { return connections_; }

 private:
  struct Direction;
  void Run();
  bool Turn(int near, int far, Direction& up, Direction& down);
  void Listen();
  void StopListening();
  void Wake();
  void ClearWake();

  std::string listen_path_, connect_path_;
  std::uint64_t seed_;
  std::atomic<double> rate_{0};
  std::atomic<bool> dead_{false}, unplugged_{false}, stopping_{false};
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  FaultCounts counts_;               ///< under mutex_
  std::vector<std::uint8_t> junk_;   ///< under mutex_
  std::deque<std::string> history_;  ///< under mutex_
  int listener_ = -1, wake_ = -1;
  std::thread thread_;
};

}  // namespace longwire::test
