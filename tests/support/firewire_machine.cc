#include "tests/support/firewire_machine.h"

#include <algorithm>
#include <utility>

#include "proto/kd/bare_packet.h"

namespace longwire::test {
namespace {

using firewire::BusOutcome;
using firewire::BusRequest;
using Kind = BusRequest::Kind;

constexpr std::uint32_t kPending = 0x103;

template <class T>
void Put(kd::Bytes& bytes, std::size_t at, T value) {
  kd::Store(std::span(bytes), at, value);
}

}  // namespace

FirewireMachine::FirewireMachine(std::uint32_t channel)
    : rom{0x04040000, 0x31333934, 0x0000A002, 0x00AABBCC, 0x01020304,         0x00050000,
          0x0C0083C0, 0x030050F2, 0x1C0050F2, 0x1D000002, 0x1E000000 | kBlock},
      block(0x20),
      send(4096),
      receive(4096) {
  Put(block, 0x00, std::uint32_t{0xBABABABA});
  Put(block, 0x04, std::uint16_t{1});
  Put(block, 0x08, channel);
  Put(block, 0x10, kSend);
  Put(block, 0x18, kReceive);
}

kd::Bytes* FirewireMachine::Find(std::uint64_t address, std::size_t length, std::size_t& offset) {
  const std::pair<std::uint64_t, kd::Bytes*> all[] = {{kBlock, &block}, {kSend, &send}, {kReceive, &receive}};
  for (const auto& [base, bytes] : all) {
    if (address < base || address + length > base + bytes->size()) continue;
    offset = address - base;
    return bytes;
  }
  return nullptr;
}

BusOutcome FirewireMachine::Perform(const BusRequest& request, kd::Bytes& data) {
  if (on_request) on_request(request);
  if (!instead.empty()) {
    const BusOutcome outcome = instead.front();
    instead.pop_front();
    if (outcome != BusOutcome::kComplete) return outcome;
  }
  if (stale_) return BusOutcome::kStale;
  const bool write = request.kind == Kind::kWriteQuadlet || request.kind == Kind::kWriteBlock;
  const std::size_t length = write ? request.data.size() : request.length;
  std::size_t offset = 0;
  kd::Bytes* bytes = Find(request.address, length, offset);
  if (bytes == nullptr) return BusOutcome::kAddressError;
  const auto begin = bytes->begin() + static_cast<std::ptrdiff_t>(offset);
  if (write) {
    std::copy(request.data.begin(), request.data.end(), begin);
  } else {
    data.assign(begin, begin + static_cast<std::ptrdiff_t>(length));
  }
  Note(request);
  if (!held) Work();
  return BusOutcome::kComplete;
}

void FirewireMachine::Note(const BusRequest& request) {
  const bool in_send = request.address >= kSend && request.address < kSend + send.size();
  std::string text;
  switch (request.kind) {
    case Kind::kReadQuadlet: text = in_send ? "poll send" : "poll receive"; break;
    case Kind::kReadBlock:
      text = request.address == kBlock ? "block" : request.address == kSend ? "head" : "payload";
      break;
    case Kind::kWriteQuadlet: text = in_send ? "clear" : "arm"; break;
    case Kind::kWriteBlock: text = "fill"; break;
  }
  log.push_back(std::move(text));
}

std::size_t FirewireMachine::Count(const std::string& what) const {
  return static_cast<std::size_t>(std::count(log.begin(), log.end(), what));
}

void FirewireMachine::PlaceSend(kd::ByteView packet, std::uint32_t length) {
  const kd::ByteView header = packet.first(kd::kHeaderSize), payload = packet.subspan(kd::kHeaderSize);
  std::copy(header.begin(), header.end(), send.begin() + 4);
  Put(send, 0x14, length);
  std::copy(payload.begin(), payload.end(), send.begin() + 0x18);
  Put(send, 0, kPending);
}

void FirewireMachine::Work() {
  // A wish for a copy is placed before the packet is cleared.
  if (ReceiveStatus() == kPending && kd::Load32(receive, 4) == kd::kHeaderSize) TakeReceived();
  if (sending_ && SendStatus() == 0) {
    sending_ = false;
    target.Receive(kd::EncodeControlPacket(kd::PacketType::kAcknowledge, line_id_));
  }
  if (ReceiveStatus() == kPending) TakeReceived();
  TakeSaid(false);
  SendNext();
}

void FirewireMachine::TakeSaid(bool copy) {
  const kd::Bytes said = target.TakeOutput();
  kd::ByteView stream = said;
  // There are no acknowledges and no RESETs on this bus.
  while (auto body = kd::NextBody(stream)) {
    if (body->size() > kd::kHeaderSize) waiting_.push_back({std::move(*body), copy});
  }
}

void FirewireMachine::SendNext() {
  if (sending_ || SendStatus() != 0 || waiting_.empty()) return;
  auto [packet, copy] = std::move(waiting_.front());
  waiting_.pop_front();
  line_id_ = kd::DecodeHeader(packet).id & ~kd::kSyncBit;
  Put(packet, 8, copy ? next_id_ - 1 : next_id_++);
  PlaceSend(packet, static_cast<std::uint32_t>(packet.size() - kd::kHeaderSize));
  sending_ = true;
}

void FirewireMachine::TakeReceived() {
  const std::uint32_t length = kd::Load32(receive, 4);
  const bool break_in = receive[8] == kd::kBreakInByte;
  if (target.running && !break_in) return;  // stays until the target stops
  kd::Bytes packet(receive.begin() + 8, receive.begin() + 8 + std::min<std::uint32_t>(length, 4016));
  Put(receive, 0, std::uint32_t{0});
  if (break_in) {
    ++break_ins_taken;
    if (target.running) return target.Receive(kd::Bytes{kd::kBreakInByte});
    // A stopped target that is broken into reports its state again.
    waiting_.clear();
    expected_ = kd::kInitialPacketId;
    return target.Receive(kd::EncodeControlPacket(kd::PacketType::kReset, 0));
  }
  if (packet.size() < kd::kHeaderSize) return;
  if (packet.size() == kd::kHeaderSize) {
    ++control_received;
    target.Retransmit();
    return TakeSaid(true);
  }
  ++packets_taken;
  // Ids are not looked at; the scripted target wants those of a line.
  Put(packet, 8, expected_);
  expected_ ^= 1;
  target.Receive(kd::FrameOf(packet));
}

}  // namespace longwire::test
