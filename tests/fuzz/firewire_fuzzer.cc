// What a node on the bus answers: the exchange must keep to the three structures, stay bounded and pass on
// nothing but whole frames.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "proto/firewire/host_exchange.h"
#include "proto/kd/bare_packet.h"
#include "proto/kd/packet.h"

using namespace longwire;

namespace {

constexpr std::uint64_t kBlock = 0x1000, kSend = 0x2000, kReceive = 0x3000;

kd::Bytes Configuration() {
  kd::Bytes block(firewire::kConfigurationSize);
  const std::span<std::byte> bytes(block);
  kd::Store(bytes, 0, firewire::kConfigurationTag);
  kd::Store(bytes, 4, std::uint16_t{1});
  kd::Store(bytes, 8, std::uint32_t{9});
  kd::Store(bytes, 0x10, kSend);
  kd::Store(bytes, 0x18, kReceive);
  return block;
}

void CheckRequest(const firewire::BusRequest& request) {
  const std::size_t length = std::max(request.length, request.data.size());
  const auto inside = [&](std::uint64_t base, std::size_t size) {
    return request.address >= base && request.address + length <= base + size;
  };
  if (length == 0 || !(inside(kBlock, firewire::kConfigurationSize) || inside(kSend, firewire::kPacketSize) ||
                       inside(kReceive, firewire::kPacketSize)))
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kd::ByteView all(reinterpret_cast<const std::byte*>(data), size);
  std::array<std::uint32_t, 16> words{};
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = kd::Load32(all, 4 * i);
  (void)firewire::FindConfiguration(words);
  (void)firewire::ParseConfiguration(all, 9);

  const std::uint32_t rom[] = {0x01000000, 0x31333934, 0x00030000, 0x1C0050F2, 0x1D000002, 0x1E001000};
  firewire::HostExchange exchange(9);
  kd::TimePoint now{};
  const kd::Bytes packet = kd::EncodeDataPacket(kd::PacketType::kStateManipulate, kd::kInitialPacketId,
                                                all.first(std::min<std::size_t>(size, 100)));
  kd::ByteView rest = all;
  while (!rest.empty() && !exchange.failure()) {
    const unsigned action = std::to_integer<unsigned>(rest[0]);
    const std::size_t announced = kd::Load16(rest, 1) % 5000;
    rest = rest.subspan(std::min<std::size_t>(rest.size(), 3));
    if (exchange.NeedsDiscovery()) exchange.Discover(now, rom, 512u << (action % 4));
    if (action % 16 == 15) exchange.Write(now, packet);
    if (action % 16 == 14) exchange.Write(now, kd::Bytes{kd::kBreakInByte});
    now = std::max(now, exchange.Deadline().value_or(now));
    const auto request = exchange.Next(now);
    if (!request) continue;
    CheckRequest(*request);
    kd::Bytes answer = request->address == kBlock ? Configuration() : kd::Bytes(request->length);
    if (request->address != kBlock) {
      const kd::ByteView said = rest.first(std::min({rest.size(), announced, answer.size()}));
      std::copy(said.begin(), said.end(), answer.begin());
      if (action & 0x80) answer.resize(said.size());
      rest = rest.subspan(said.size());
    }
    const auto outcome = static_cast<firewire::BusOutcome>(action % 32 < 28 ? 0 : action % 32 - 27);
    exchange.Complete(now, outcome, answer);
    const kd::Bytes input = exchange.TakeInput();
    kd::ByteView stream = input;
    while (kd::NextBody(stream)) {
    }
    if (!stream.empty()) std::abort();
  }
  return 0;
}
