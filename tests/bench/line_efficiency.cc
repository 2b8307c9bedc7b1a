// Large uncached reads over a pipe and over KDNET, against a windowless host of a few lines on the same line,
// and against bare datagrams of the same sizes.
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proto/kd/manipulate.h"
#include "proto/kd/packet.h"
#include "proto/kdnet/frames.h"
#include "proto/kdnet/host_session.h"
#include "tests/support/halted_target.h"
#include "tests/support/kd_probe.h"
#include "tests/support/kdnet_machine.h"
#include "tests/support/loopback.h"
#include "tests/support/own_ports.h"
#include "tests/support/test_machine.h"

using namespace longwire;
using namespace longwire::test;

namespace {

using Clock = std::chrono::steady_clock;
using boost::asio::ip::udp;
/// Physical memory of the test machine, from 1 MiB on.
constexpr std::uint64_t kMachineMemory = 0xFFFF800000100000, kScriptedMemory = 0xFFFFF80000010000;
/// What the targets give in one reply.
constexpr std::uint32_t kLargestRead = 3944, kKdnetRead = 1024;
constexpr const char* kKey = "1.2.3.4";
constexpr int kRuns = 3;

/// Bytes a second of the call, or nothing.
std::optional<double> Rate(std::size_t bytes, const std::function<bool()>& read) {
  const auto started = Clock::now();
  if (!read()) return std::nullopt;
  return static_cast<double>(bytes) / std::chrono::duration<double>(Clock::now() - started).count();
}

double Median(std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  return rates.empty() ? 0 : rates[rates.size() / 2];
}

/// Through everything: client, RPC, service, link.
std::optional<double> OurRate(const std::string& link, std::uint64_t address, std::size_t bytes) {
  Interrupt interrupt;
  std::string error;
  const std::unique_ptr<Target> target = OpenHaltedTarget(link, interrupt, &error);
  if (!target) {
    std::fprintf(stderr, "line_efficiency: %s\n", error.c_str());
    return std::nullopt;
  }
  std::vector<double> rates;
  std::vector<std::byte> out(bytes);
  for (int i = 0; i < kRuns; ++i) {
    const auto rate = Rate(bytes, [&] {
      const auto read = target->ReadUncached(AddressSpace::Virtual(), address, out);
      return read && *read == bytes;
    });
    if (rate) rates.push_back(*rate);
  }
  return Median(rates);
}

// ---- pipe

std::optional<double> ProbeRate(TestMachine& machine, std::size_t bytes) {
  KdProbe probe(machine.Connect());
  if (!probe.WaitForStop()) return std::nullopt;
  std::vector<double> rates;
  for (int i = 0; i < kRuns; ++i) {
    const auto rate = Rate(bytes, [&] {
      for (std::size_t done = 0; done < bytes; done += kLargestRead) {
        const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(kLargestRead, bytes - done));
        if (probe.Read(kMachineMemory + done, size).data.size() != size) return false;
      }
      return true;
    });
    if (rate) rates.push_back(*rate);
  }
  return Median(rates);
}

bool MeasurePipe(std::size_t bytes) {
  std::string error;
  TestMachineOptions options;
  options.boot_when_connected = options.break_at_boot = true;
  options.ack_timeout_ms = 2000;
  const auto machine = TestMachine::Start(options, &error);
  const auto other = machine ? TestMachine::Start(options, &error) : nullptr;
  if (!other) {
    std::fprintf(stderr, "line_efficiency: %s\n", error.c_str());
    return false;
  }
  const auto limit = ProbeRate(*other, bytes);
  const auto ours = OurRate("com:pipe,port=" + machine->socket_path() + ",resets=0", kMachineMemory, bytes);
  if (!limit || !ours) return false;
  std::printf("pipe, %zu KiB: %.0f B/s, %.1f %% of a windowless host on the same line (%.0f B/s)\n",
              bytes / 1024, *ours, 100 * *ours / *limit, *limit);
  return true;
}

// ---- KDNET

/// A KDNET host that does nothing but ask, wait and acknowledge.
class BareHost {
 public:
  explicit BareHost(std::uint16_t port) : session_(*kdnet::ParseKey(kKey)) {
    socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const sockaddr_in own = Loopback(port);
    const timeval limit{5, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) failed_ = true;
  }
  BareHost(const BareHost&) = delete;
  BareHost& operator=(const BareHost&) = delete;
  ~BareHost() { ::close(socket_); }

  bool Stop() {
    while (!failed_ && !session_.live()) (void)Receive();
    if (failed_) return false;
    Transmit(session_.Send({kd::kBreakInByte}));
    return NextData().has_value();
  }
  bool Read(std::uint64_t address, std::uint32_t size) {
    kd::Bytes request = kd::EncodeDataPacket(kd::PacketType::kStateManipulate, next_,
                                             kd::EncodeReadVirtual(0, address, size));
    request.pop_back();  // no trailer
    next_ += 2;
    Transmit(session_.Send(std::move(request)));
    const auto reply = NextData();
    return reply && reply->size() == kd::kHeaderSize + kd::kManipulateSize + size + 1;
  }

 private:
  void Transmit(const kd::Bytes& datagram) {
    const auto sent = ::sendto(socket_, datagram.data(), datagram.size(), 0,
                               reinterpret_cast<const sockaddr*>(&peer_), sizeof peer_);
    if (sent < 0) failed_ = true;
  }
  kd::Bytes Receive() {
    std::vector<std::byte> buffer(8192);
    socklen_t length = sizeof peer_;
    const auto size =
        ::recvfrom(socket_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&peer_), &length);
    if (size < 0) {
      failed_ = true;
      return {};
    }
    const auto received =
        session_.Receive(kd::ByteView(buffer).first(static_cast<std::size_t>(size)), kdnet::Block{});
    if (!received.answer.empty()) Transmit(received.answer);
    return kdnet::FrameOf(received.body);
  }
  std::optional<kd::Bytes> NextData() {
    while (!failed_) {
      kd::Bytes frame = Receive();
      if (frame.size() <= kd::kHeaderSize) continue;
      const std::uint32_t id = kd::DecodeHeader(frame).id;
      Transmit(session_.Send(kd::EncodeControlPacket(kd::PacketType::kAcknowledge, id)));
      if (std::exchange(newest_, id) == id) continue;  // its acknowledge came late
      return frame;
    }
    return std::nullopt;
  }

  kdnet::HostSession session_;
  int socket_ = -1;
  bool failed_ = false;
  sockaddr_in peer_{};
  std::uint32_t next_ = kd::kInitialKdnetId;
  std::optional<std::uint32_t> newest_;
};

std::unique_ptr<KdnetMachine> ScriptedMachine(std::uint16_t port, std::size_t bytes) {
  auto machine = std::make_unique<KdnetMachine>(kKey, port);
  machine->With([bytes](ScriptedTarget& target) {
    target.Map(0xFFFFF80000001000, 0x4000);
    target.Map(kScriptedMemory, bytes + 0x1000);
  });
  return machine;
}

std::optional<double> BareHostRate(std::size_t bytes) {
  const std::uint16_t port = OwnNetPort();
  const auto machine = ScriptedMachine(port, bytes);
  BareHost host(port);
  if (!host.Stop()) return std::nullopt;
  std::vector<double> rates;
  for (int i = 0; i < kRuns; ++i) {
    const auto rate = Rate(bytes, [&] {
      for (std::size_t done = 0; done < bytes; done += kKdnetRead) {
        const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(kKdnetRead, bytes - done));
        if (!host.Read(kScriptedMemory + done, size)) return false;
      }
      return true;
    });
    if (rate) rates.push_back(*rate);
  }
  return Median(rates);
}

/// Datagrams of the sizes of a read's request, its two answers and the acknowledge, with nothing in them.
std::optional<double> DatagramRate(std::size_t bytes) {
  const auto sealed = [](std::size_t body) {
    const kdnet::Key key = *kdnet::ParseKey(kKey);
    return kdnet::Seal({5, kdnet::Channel::kData, kdnet::Direction::kToHost, 1, kd::Bytes(body)}, key.mac,
                       key.control)
        .size();
  };
  const std::size_t control = sealed(kd::kHeaderSize),
                    request = sealed(kd::kHeaderSize + kd::kManipulateSize);
  const std::size_t reply = sealed(kd::kHeaderSize + kd::kManipulateSize + kKdnetRead);
  boost::asio::io_context context;
  const auto loopback = boost::asio::ip::address_v4::loopback();
  udp::socket near(context, udp::endpoint(loopback, 0)), far(context, udp::endpoint(loopback, 0));
  const udp::endpoint near_end = near.local_endpoint(), far_end = far.local_endpoint();
  const std::size_t rounds = kRuns * ((bytes + kKdnetRead - 1) / kKdnetRead);
  std::vector<std::byte> nothing(reply);
  std::thread target([&] {
    std::vector<std::byte> buffer(8192);
    for (std::size_t i = 0; i < rounds; ++i) {
      far.receive(boost::asio::buffer(buffer));
      far.send_to(boost::asio::buffer(nothing.data(), control), near_end);
      far.send_to(boost::asio::buffer(nothing.data(), reply), near_end);
      far.receive(boost::asio::buffer(buffer));
    }
  });
  std::vector<std::byte> buffer(8192), said(reply);
  const auto rate = Rate(kRuns * bytes, [&] {
    for (std::size_t i = 0; i < rounds; ++i) {
      near.send_to(boost::asio::buffer(said.data(), request), far_end);
      near.receive(boost::asio::buffer(buffer));
      near.receive(boost::asio::buffer(buffer));
      near.send_to(boost::asio::buffer(said.data(), control), far_end);
    }
    return true;
  });
  target.join();
  return rate;
}

bool MeasureKdnet(std::size_t bytes) {
  const auto physical = DatagramRate(bytes);
  const auto limit = BareHostRate(bytes);
  const std::uint16_t port = OwnNetPort();
  const auto machine = ScriptedMachine(port, bytes);
  const auto ours = OurRate("net:port=" + std::to_string(port) + ",key=" + kKey, kScriptedMemory, bytes);
  if (!physical || !limit || !ours) {
    std::fprintf(stderr, "line_efficiency: a KDNET target on port %u did not answer\n", unsigned{port});
    return false;
  }
  std::printf(
      "KDNET, %zu KiB: %.0f B/s, %.1f %% of a windowless host with the same target (%.0f B/s), which has "
      "%.1f %% of "
      "bare datagrams (%.0f B/s)\n",
      bytes / 1024, *ours, 100 * *ours / *limit, *limit, 100 * *limit / *physical, *physical);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t kibibytes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 512;
  const bool pipe = MeasurePipe(kibibytes * 1024);
  return MeasureKdnet(kibibytes * 1024) && pipe ? 0 : 1;
}
