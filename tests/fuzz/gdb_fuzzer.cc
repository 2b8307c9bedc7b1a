// The GDB remote protocol from a hostile peer: frames, and what the texts inside them are taken for.
#include <cstdlib>

#include "proto/gdb/hex.h"
#include "proto/gdb/packet_stream.h"
#include "proto/gdb/stop_reply.h"
#include "proto/gdb/target_description.h"

using namespace longwire::gdb;

namespace {

constexpr std::size_t kLimit = 4096;

void Read(const std::string& text) {
  if (text.size() > kLimit) std::abort();
  static_cast<void>(DecodeStopReply(text));
  static_cast<void>(DecodeThreads(text));
  static_cast<void>(DecodeFeatures(text));
  static_cast<void>(TargetDescription::Parse({{"target.xml", text}, {"a", text}}));
  if (const auto bytes = DecodeHex(text); bytes && EncodeHex(*bytes).size() != text.size()) std::abort();
  // What we frame comes back as it was.
  Framer framer;
  std::deque<Frame> frames;
  framer.Feed(ToBytes(EncodePacket(text)), frames);
  if (frames.size() != 1 || frames[0].kind != Frame::Kind::kPacket || frames[0].payload != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  PacketStream stream(kLimit);
  stream.Send("g");
  const std::size_t half = size / 2;
  for (const auto part : {input.first(half), input.subspan(half)}) {
    stream.Receive(part);
    while (const auto frame = stream.Next()) Read(frame->payload);
    static_cast<void>(stream.TakeOutput());
  }
  if (size <= kLimit) Read(ToText(input));
  return 0;
}
