#include "proto/gdb/packet_stream.h"

#include <utility>

namespace longwire::gdb {

void PacketStream::Put(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  output_.insert(output_.end(), bytes.begin(), bytes.end());
}

void PacketStream::Receive(std::span<const std::byte> bytes) { framer_.Feed(bytes, frames_); }

std::optional<Frame> PacketStream::Next() {
  while (!frames_.empty() && !failed()) {
    Frame frame = std::move(frames_.front());
    frames_.pop_front();
    switch (frame.kind) {
      case Frame::Kind::kAck:
        last_packet_.clear();
        retransmissions_ = 0;
        break;
      case Frame::Kind::kNak:
        if (!acknowledges_ || last_packet_.empty()) break;
        ++retransmissions_;
        ++total_retransmissions_;
        if (!failed()) Put(last_packet_);
        break;
      case Frame::Kind::kBroken:
        ++broken_;
        ++checksum_errors_;
        if (acknowledges_) Put("-");
        break;
      case Frame::Kind::kPacket:
        broken_ = 0;
        if (acknowledges_) Put("+");
        return frame;
      case Frame::Kind::kNotification:
      case Frame::Kind::kInterrupt: return frame;
    }
  }
  return std::nullopt;
}

void PacketStream::Send(std::string_view payload) {
  std::string framed = EncodePacket(payload);
  Put(framed);
  if (acknowledges_) last_packet_ = std::move(framed);
}

void PacketStream::Notify(std::string_view payload) { Put(EncodeNotification(payload)); }

void PacketStream::Interrupt() { Put("\x03"); }

std::vector<std::byte> PacketStream::TakeOutput() { return std::exchange(output_, {}); }

}  // namespace longwire::gdb
