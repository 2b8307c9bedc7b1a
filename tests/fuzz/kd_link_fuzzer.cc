// Framer and link machine under arbitrary bytes, time and calls. The first byte of each step picks what
// happens.
#include <cstdlib>

#include "proto/kd/link_machine.h"
#include "proto/kd/manipulate.h"

using namespace longwire::kd;

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = std::as_bytes(std::span(data, size));
  LinkMachine machine(Timers::ForPipe());
  TimePoint now{std::chrono::seconds(1)};
  int accepted = 0, ended = 0;
  std::size_t at = 0;
  while (at < input.size()) {
    const auto step = std::to_integer<unsigned>(input[at++]);
    const std::size_t argument = step >> 3;
    switch (step & 7) {
      case 0:
        now += std::chrono::milliseconds(argument * 100);
        machine.Tick(now);
        break;
      case 1: accepted += machine.SendRequest(now, EncodeReadVirtual(0, argument, 8)).has_value(); break;
      case 2: accepted += machine.SendNoReply(now, EncodeContinue(0, kContinue)).has_value(); break;
      case 3: accepted += machine.SendData(now, PacketType::kDebugIo, Bytes(16)).has_value(); break;
      case 4:
        if (argument == 0) machine.Reset(now);
        if (argument == 1) machine.Reopen();
        if (argument == 2) machine.BreakIn(now);
        if (argument > 2) machine.Attach(now, static_cast<LinkMachine::AttachMode>(argument & 1));
        break;
      case 5: {  // a good data packet with id and type from the input
        const std::size_t length = std::min<std::size_t>(argument + 1, input.size() - at);
        if (length == 0) break;
        const auto id = kInitialPacketId | (argument & 1) | ((argument & 2) != 0 ? kSyncBit : 0);
        machine.Receive(
            now, EncodeDataPacket(static_cast<PacketType>(argument & 15), id, input.subspan(at, length)));
        at += length;
        break;
      }
      case 6:
        machine.Receive(now, EncodeControlPacket(static_cast<PacketType>(4 + argument % 3),
                                                 kInitialPacketId | (argument & 1)));
        break;
      default: {
        const std::size_t length = std::min<std::size_t>(argument * 8 + 1, input.size() - at);
        machine.Receive(now, input.subspan(at, length));
        at += length;
        break;
      }
    }
    Require(machine.TakeOutput().size() < (1u << 20));
    for (const LinkEvent& event : machine.TakeEvents()) {
      using Kind = LinkEvent::Kind;
      ended += event.kind == Kind::kRequestReply || event.kind == Kind::kAcknowledged ||
               event.kind == Kind::kRequestFailed;
      Require(event.payload.size() <= kMaxReceivedPayload);
    }
    Require(ended <= accepted && accepted - ended <= 1);
  }
  // Every packet in flight and every RESET procedure ends by time alone, and no timer stays due after its
  // Tick.
  machine.StopAttaching();
  for (int i = 0; i < 64; ++i) {
    const auto due = machine.Deadline();
    if (!due) break;
    now = std::max(now, *due);
    machine.Tick(now);
    Require(!machine.Deadline() || *machine.Deadline() > now);
  }
  Require(!machine.Deadline() && machine.CanSend());
  for (const LinkEvent& event : machine.TakeEvents()) {
    using Kind = LinkEvent::Kind;
    ended += event.kind == Kind::kRequestReply || event.kind == Kind::kAcknowledged ||
             event.kind == Kind::kRequestFailed;
  }
  Require(ended == accepted);
  return 0;
}
