#pragma once

#include "proto/kd/packet.h"
#include "server/replay/recorded_session.h"

namespace longwire::test {

/// Writes a recording as a host and a target would have caused it: ids alternate, each packet is
/// acknowledged.
class RecordedLine {
 public:
  void FromTarget(kd::PacketType type, const kd::Bytes& payload) {
    Add(recording::Entry::Kind::kFromTarget, kd::EncodeDataPacket(type, target_id_, payload));
    Add(recording::Entry::Kind::kFromHost,
        kd::EncodeControlPacket(kd::PacketType::kAcknowledge, target_id_ & ~kd::kSyncBit));
    target_id_ = (target_id_ & ~kd::kSyncBit) ^ 1;
  }
  void FromHost(const kd::Bytes& payload) {
    Add(recording::Entry::Kind::kFromHost,
        kd::EncodeDataPacket(kd::PacketType::kStateManipulate, host_id_, payload));
    Add(recording::Entry::Kind::kFromTarget, kd::EncodeControlPacket(kd::PacketType::kAcknowledge, host_id_));
    host_id_ ^= 1;
  }
  void Add(recording::Entry::Kind kind, kd::Bytes bytes) {
    recording::Entry entry;
    entry.seconds = seconds;
    entry.kind = kind;
    entry.bytes = std::move(bytes);
    session.Add(entry);
  }

  double seconds = 0;
  RecordedSession session;

 private:
  std::uint32_t target_id_ = kd::kInitialPacketId | kd::kSyncBit, host_id_ = kd::kInitialPacketId;
};

inline kd::Bytes Stop(std::uint8_t mark) { return kd::Bytes(240, std::byte{mark}); }

/// A print of one character.
inline kd::Bytes Print(char text) {
  kd::Bytes payload(17);
  kd::Store(std::span(payload), 0, std::uint32_t{0x3230});
  kd::Store(std::span(payload), 8, std::uint32_t{1});
  payload[16] = static_cast<std::byte>(text);
  return payload;
}

inline kd::Bytes ReplyOfRead(std::uint64_t address, const kd::Bytes& data) {
  kd::Bytes reply = kd::EncodeReadVirtual(0, address, static_cast<std::uint32_t>(data.size()));
  kd::Store(std::span(reply), 8, kd::kStatusSuccess);
  kd::Store(std::span(reply), 28, static_cast<std::uint32_t>(data.size()));
  reply.insert(reply.end(), data.begin(), data.end());
  return reply;
}

}  // namespace longwire::test
