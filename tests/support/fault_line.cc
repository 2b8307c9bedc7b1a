#include "tests/support/fault_line.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;
using Packet = std::vector<std::uint8_t>;
using std::chrono::milliseconds;

constexpr std::size_t kHeaderSize = 16, kLeaderSize = 4, kHistory = 60;
constexpr std::uint8_t kDataLeader = 0x30, kControlLeader = 0x69;
/// An unfinished packet passes as it is after this; its sender died or changed its mind.
constexpr milliseconds kUnfinished{1000};

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("socket path too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

/// Size of the first packet in `bytes`; 0: more bytes are needed to tell.
std::size_t FirstPacket(const std::deque<std::uint8_t>& bytes) {
  const std::uint8_t leader = bytes[0];
  if (leader != kDataLeader && leader != kControlLeader) return 1;
  for (std::size_t i = 1; i < kLeaderSize; ++i) {
    if (i == bytes.size()) return 0;
    if (bytes[i] != leader) return 1;
  }
  if (bytes.size() < kHeaderSize) return 0;
  const std::size_t count = leader == kDataLeader ? bytes[6] + (std::size_t{bytes[7]} << 8) + 1 : 0;
  return bytes.size() < kHeaderSize + count ? 0 : kHeaderSize + count;
}

/// "> 12.345 data 2 id 80800000 56+0 bytes: 30 31 00 00": arrow, seconds, kind, and how the payload begins.
std::string Describe(const char* arrow, const Packet& packet) {
  const double now = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
  char text[160];
  if (packet.size() < kHeaderSize) {
    std::snprintf(text, sizeof text, "%s %.3f byte %02x", arrow, now, packet[0]);
    return text;
  }
  int used = std::snprintf(text, sizeof text, "%s %.3f %s %u id %02x%02x%02x%02x, %zu bytes", arrow, now,
                           packet[0] == kDataLeader ? "data" : "control", packet[4], packet[11], packet[10],
                           packet[9], packet[8], packet.size());
  for (std::size_t i = kHeaderSize; i < std::min<std::size_t>(packet.size(), kHeaderSize + 28); ++i) {
    used += std::snprintf(text + used, sizeof text - static_cast<std::size_t>(used), "%s%02x",
                          i % 4 == 0 ? " " : "", packet[i]);
  }
  return text;
}

}  // namespace

const char* FaultName(Fault fault) {
  constexpr const char* kNames[kFaultKinds] = {"dropped", "corrupted", "duplicated",
                                               "delayed", "garbage",   "truncated"};
  return kNames[static_cast<std::size_t>(fault)];
}

std::uint64_t FaultCounts::total() const { return std::accumulate(hit.begin(), hit.end(), std::uint64_t{0}); }

/// One way through the line. The random numbers outlive the connection.
struct FaultLine::Direction {
  Direction(FaultLine& owner, const char* arrow, std::uint64_t seed)
      : line(owner), name(arrow), random(seed) {}

  std::uint64_t Below(std::uint64_t limit) { return random() % limit; }

  void Take(const std::uint8_t* bytes, std::size_t size) {
    if (line.dead_) return;
    held.insert(held.end(), bytes, bytes + size);
    last_byte = Clock::now();
    while (!held.empty()) {
      const std::size_t count = FirstPacket(held);
      if (count == 0) return;
      Pass(count);
    }
  }
  void Flush() {
    if (!held.empty() && Clock::now() >= last_byte + kUnfinished) Pass(held.size());
  }
  /// No checksum covers the type of a data packet, and both sides acknowledge and ignore one of an unknown
  /// type (kd-protocol.md 1.6): a Continue or a state change hit there is lost and nobody can know. Its count
  /// is hit instead.
  std::size_t ChooseByte(std::size_t count) {
    constexpr std::size_t kHeader = 16, kType = 4, kCount = 6;
    const std::size_t at = Below(count);
    return count > kHeader && at >= kType && at < kCount ? at + (kCount - kType) : at;
  }
  void Pass(std::size_t count) {
    Packet packet(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(count));
    held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(count));
    // Drawn for every packet, whatever the rate, so that a seed means the same at any time.
    const double chance = static_cast<double>(random() >> 11) * 0x1p-53;
    const auto fault = static_cast<Fault>(Below(kFaultKinds));
    const bool hit = chance < line.rate_;
    {
      const std::lock_guard lock(line.mutex_);
      line.history_.push_back(Describe(name, packet) + (hit ? std::string(" ") + FaultName(fault) : ""));
      if (line.history_.size() > kHistory) line.history_.pop_front();
      ++line.counts_.packets;
      if (hit) ++line.counts_.hit[static_cast<std::size_t>(fault)];
    }
    Clock::time_point due = Clock::now();
    if (hit) {
      switch (fault) {
        case Fault::kDrop: return;
        case Fault::kCorrupt: packet[ChooseByte(count)] ^= static_cast<std::uint8_t>(1 + Below(255)); break;
        case Fault::kDuplicate: packet.insert(packet.end(), packet.begin(), packet.end()); break;
        case Fault::kDelay: due += milliseconds(Below(8) == 0 ? 500 + Below(2500) : 1 + Below(300)); break;
        case Fault::kGarbage: {
          const Packet junk = Junk();
          packet.insert(packet.begin(), junk.begin(), junk.end());
          break;
        }
        case Fault::kTruncate: packet.resize(Below(count)); break;
      }
    }
    if (!ready.empty()) due = std::max(due, ready.back().first);
    ready.emplace_back(due, std::move(packet));
  }
  /// 1 to 40 bytes, half of the time of values that mean something to KD.
  Packet Junk() {
    constexpr std::uint8_t kTelling[] = {kDataLeader, kControlLeader, 0xAA, 0x00, 0x80};
    const bool telling = Below(2) == 0;
    Packet junk(1 + Below(40));
    for (std::uint8_t& byte : junk) {
      byte = telling ? kTelling[Below(std::size(kTelling))] : static_cast<std::uint8_t>(Below(256));
    }
    return junk;
  }

  bool Send(int to) {
    while (!ready.empty() && ready.front().first <= Clock::now()) {
      const Packet packet = std::move(ready.front().second);
      ready.pop_front();
      if (line.dead_) continue;
      for (std::size_t sent = 0; sent < packet.size();) {
        const ssize_t n = send(to, packet.data() + sent, packet.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return false;
        sent += static_cast<std::size_t>(n);
      }
    }
    return true;
  }
  void Insert(Packet junk) {
    if (!junk.empty()) ready.emplace_back(Clock::now(), std::move(junk));
  }
  void Forget() {
    held.clear();
    ready.clear();
  }
  int Timeout() const {
    Clock::time_point next = Clock::now() + std::chrono::hours(1);
    if (!ready.empty()) next = ready.front().first;
    if (!held.empty()) next = std::min(next, last_byte + kUnfinished);
    const auto left = std::chrono::ceil<milliseconds>(next - Clock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(0, left));
  }

  FaultLine& line;
  const char* name;
  std::mt19937_64 random;
  std::deque<std::uint8_t> held = {};  ///< not yet known to be a whole packet
  std::deque<std::pair<Clock::time_point, Packet>> ready = {};
  Clock::time_point last_byte = {};
};

FaultLine::FaultLine(const std::string& listen_path, std::string connect_path, std::uint64_t seed)
    : listen_path_(listen_path), connect_path_(std::move(connect_path)), seed_(seed) {
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  Listen();
  thread_ = std::thread([this] { Run(); });
}

FaultLine::~FaultLine() {
  stopping_ = true;
  Wake();
  thread_.join();
  StopListening();
  close(wake_);
}

void FaultLine::Listen() {
  const sockaddr_un address = AddressOf(listen_path_);
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 4) != 0) {
    throw std::runtime_error("cannot listen on " + listen_path_ + ": " + std::strerror(errno));
  }
}

void FaultLine::StopListening() {
  if (listener_ < 0) return;
  unlink(listen_path_.c_str());
  close(std::exchange(listener_, -1));
}

void FaultLine::SetUnplugged(bool unplugged) {
  unplugged_ = unplugged;
  Wake();
}

void FaultLine::Disturb(std::vector<std::uint8_t> junk) {
  {
    const std::lock_guard lock(mutex_);
    junk_.insert(junk_.end(), junk.begin(), junk.end());
  }
  Wake();
}

FaultCounts FaultLine::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::string FaultLine::history() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const std::string& entry : history_) text += entry + "\n";
  return text;
}

void FaultLine::Wake() {
  const std::uint64_t one = 1;
  if (write(wake_, &one, sizeof one) != sizeof one) std::abort();
}

void FaultLine::Run() {
  Direction up(*this, "<", seed_ * 2), down(*this, ">", seed_ * 2 + 1);
  while (!stopping_) {
    if (unplugged_) {
      StopListening();
    } else if (listener_ < 0) {
      Listen();
    }
    pollfd wait[2] = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
    if (poll(wait, 2, -1) < 0 && errno != EINTR) return;
    ClearWake();
    if (unplugged_ || stopping_ || !(wait[1].revents & POLLIN)) continue;
    const int near = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (near >= 0) ++connections_;
    const int far = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = AddressOf(connect_path_);
    if (near >= 0 && connect(far, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      up.Forget();
      down.Forget();
      while (Turn(near, far, up, down)) continue;
    }
    if (near >= 0) close(near);
    close(far);
  }
}

void FaultLine::ClearWake() {
  std::uint64_t count = 0;
  while (read(wake_, &count, sizeof count) > 0) continue;
}

/// Waits for something to do and does it. False: an end closed, or the cable is to come off.
bool FaultLine::Turn(int near, int far, Direction& up, Direction& down) {
  pollfd ends[3] = {{far, POLLIN, 0}, {near, POLLIN, 0}, {wake_, POLLIN, 0}};
  if (poll(ends, 3, std::min(up.Timeout(), down.Timeout())) < 0 && errno != EINTR) return false;
  ClearWake();
  if (stopping_ || unplugged_) return false;
  std::uint8_t buffer[4096];
  for (int i = 0; i < 2; ++i) {
    if ((ends[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const ssize_t n = read(ends[i].fd, buffer, sizeof buffer);
    if (n <= 0) return false;
    (i == 0 ? up : down).Take(buffer, static_cast<std::size_t>(n));
  }
  up.Flush();
  down.Flush();
  std::vector<std::uint8_t> junk;
  {
    const std::lock_guard lock(mutex_);
    junk.swap(junk_);
  }
  up.Insert(std::move(junk));
  return up.Send(near) && down.Send(far);
}

}  // namespace longwire::test
