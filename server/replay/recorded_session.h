#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proto/kd/framer.h"
#include "proto/kd/manipulate.h"
#include "proto/recording/recording.h"
#include "server/replay/byte_map.h"

namespace longwire {

/// A recorded link understood as KD traffic: what the target told, stop by stop, and what it answered while
/// it was stopped. Retransmissions, damaged packets and junk of the line are left out.
class RecordedSession {
 public:
  struct Packet {
    kd::PacketType type = kd::PacketType::kUnused;
    kd::Bytes payload;
    double seconds = 0;
  };
  /// From a continue to the next one: what the running target sent, the stop, and the answers given there.
  struct Act {
    bool switched = false;  ///< reached by a switch of processors: nothing ran
    std::vector<Packet> running;
    std::optional<Packet> stop;              ///< none: the recording ends while the target runs
    std::map<kd::Bytes, kd::Bytes> replies;  ///< by Key() of the request
    ByteMap virtual_memory, physical_memory;
  };

  /// Entries in the order of the file.
  void Add(const recording::Entry& entry);

  const std::vector<Act>& acts() const { return acts_; }
  std::size_t packets() const { return packets_; }  ///< distinct ones, of both sides

  /// The fields that make two requests the same question: API, processor and what the API reads of the rest.
  static kd::Bytes Key(kd::ByteView request);

 private:
  /// One direction of the byte stream.
  struct Side {
    kd::Framer framer{std::chrono::hours(24)};  // borders of chunks in time mean nothing
    std::uint32_t expected = kd::kInitialPacketId;
    bool seen_any = false;
  };

  void TakeFromTarget(kd::Framer::Item item);
  void TakeFromHost(kd::Framer::Item item);
  void TakeReply(kd::ByteView payload);
  void TakeStop(Packet packet);
  static bool IsNew(Side& side, const kd::Framer::Item& item);

  Side target_, host_;
  double now_ = 0;
  std::vector<Act> acts_{1};
  std::optional<kd::Bytes> request_;  ///< of the host, not answered yet
  bool left_ = false;                 ///< a continue or a switch was sent since the stop of the last act
  bool switching_ = false;
  std::size_t packets_ = 0;
};

/// Reads a recording (docs/protocol.md, "Recordings"), at most kMaxRecording bytes. Errors: kNotFound,
/// kMalformed (the line's number is named; a torn last line is no error), kLimitExceeded.
Result<RecordedSession> ReadRecording(const std::string& path);
inline constexpr std::size_t kMaxRecording = 256u << 20;

}  // namespace longwire
