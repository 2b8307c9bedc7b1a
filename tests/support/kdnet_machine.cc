#include "tests/support/kdnet_machine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "proto/kdnet/frames.h"
#include "tests/support/loopback.h"

namespace longwire::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRetransmission{100};
constexpr int kPollMilliseconds = 10;

}  // namespace

KdnetMachine::KdnetMachine(const std::string& key, std::uint16_t host_port, KdnetNetwork network,
                           std::chrono::milliseconds offers)
    : wire_(*kdnet::ParseKey(key), 5), host_port_(host_port), network_(network), offers_(offers) {
  target_.NumberAsKdnet();
  target_.most_read = 1024;
  Open();
  thread_ = std::thread([this] { Run(); });
}

KdnetMachine::~KdnetMachine() {
  over_ = true;
  thread_.join();
  ::close(socket_);
}

void KdnetMachine::Open() {
  // The old one is closed last, so that the port is another one.
  const int old = socket_;
  socket_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port_ = ntohs(address.sin_port);
  }
  if (old >= 0) ::close(old);
}

void KdnetMachine::With(const std::function<void(ScriptedTarget&)>& work) {
  const std::scoped_lock lock(mutex_);
  work(target_);
  Flush();
}

void KdnetMachine::Reboot() {
  const std::scoped_lock lock(mutex_);
  Open();
  wire_.Reboot();
  target_.Restart();
}

void KdnetMachine::Move() {
  const std::scoped_lock lock(mutex_);
  Open();
}

void KdnetMachine::Run() {
  while (!over_) {
    int descriptor = -1;
    {
      const std::scoped_lock lock(mutex_);
      const auto now = Clock::now();
      if (now >= next_offer_) {
        next_offer_ = now + offers_;
        Transmit(wire_.Offer(wire_.live() ? host_port_ : std::uint16_t{0}));
      }
      if (now >= next_retransmission_) {
        next_retransmission_ = now + kRetransmission;
        target_.Retransmit();
      }
      Flush();
      descriptor = socket_;
    }
    pollfd waiting{descriptor, POLLIN, 0};
    (void)::poll(&waiting, 1, kPollMilliseconds);
    const std::scoped_lock lock(mutex_);
    Read();
  }
}

void KdnetMachine::Read() {
  std::array<std::byte, 2048> buffer;
  for (;;) {
    const ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (size <= 0) return;
    for (const kd::Bytes& arrived : Pass(kd::Bytes(buffer.begin(), buffer.begin() + size), held_in_))
      OnDatagram(arrived);
    Flush();
  }
}

void KdnetMachine::OnDatagram(kd::ByteView datagram) {
  const KdnetTarget::Heard heard = wire_.Receive(datagram);
  if (heard.poked) next_offer_ = {};
  if (heard.began) {
    ++sessions_;
    Transmit(wire_.Greeting());
  }
  if (!heard.body) return;
  const bool break_in = heard.body->size() == 1;
  target_.Receive(break_in ? *heard.body : kdnet::FrameOf(*heard.body));
}

void KdnetMachine::Flush() {
  if (!wire_.live()) return;
  const kd::Bytes output = target_.TakeOutput();
  kd::ByteView stream = output;
  while (auto body = kdnet::NextBody(stream)) Transmit(wire_.Send(*body));
}

void KdnetMachine::Transmit(kd::Bytes datagram) {
  const sockaddr_in host = Loopback(host_port_);
  for (const kd::Bytes& passed : Pass(std::move(datagram), held_out_)) {
    (void)::sendto(socket_, passed.data(), passed.size(), 0, reinterpret_cast<const sockaddr*>(&host),
                   sizeof host);
  }
}

std::vector<kd::Bytes> KdnetMachine::Pass(kd::Bytes datagram, std::optional<kd::Bytes>& held) {
  ++datagrams_;
  const auto is_due = [this](int each) { return each != 0 && datagrams_ % each == 0; };
  std::vector<kd::Bytes> passed;
  if (is_due(network_.drop_each)) return passed;
  if (is_due(network_.swap_each) && !held) {
    held = std::move(datagram);
    return passed;
  }
  if (is_due(network_.duplicate_each)) passed.push_back(datagram);
  passed.push_back(std::move(datagram));
  if (held) passed.push_back(*std::exchange(held, std::nullopt));
  return passed;
}

}  // namespace longwire::test
