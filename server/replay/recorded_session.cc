#include "server/replay/recorded_session.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace longwire {
namespace {

using kd::Api;

/// Bytes of the request's union that say what is asked; the rest is the answer's, or noise of the host.
std::size_t QuestionSize(Api api) {
  switch (api) {
    case Api::kGetContext:
    case Api::kGetVersion: return 0;
    case Api::kReadMsr: return 4;
    case Api::kQueryMemory: return 8;
    case Api::kGetBusData: return 20;
    case Api::kReadIoSpaceExtended: return 24;
    default: return 12;
  }
}

bool EndsStop(Api api) {
  return api == Api::kContinue || api == Api::kContinue2 || api == Api::kSwitchProcessor ||
         api == Api::kReboot || api == Api::kCauseBugCheck;
}

}  // namespace

kd::Bytes RecordedSession::Key(kd::ByteView request) {
  constexpr std::size_t kUnion = 16;
  kd::Bytes key;
  const auto take = [&](std::size_t from, std::size_t size) {
    for (std::size_t i = from; i < from + size; ++i)
      key.push_back(i < request.size() ? request[i] : std::byte{0});
  };
  take(0, 4);
  take(6, 2);
  take(kUnion, QuestionSize(static_cast<Api>(kd::Load32(request, 0))));
  return key;
}

void RecordedSession::Add(const recording::Entry& entry) {
  if (entry.kind == recording::Entry::Kind::kNote) return;
  now_ = std::max(now_, entry.seconds);
  const bool from_target = entry.kind == recording::Entry::Kind::kFromTarget;
  Side& side = from_target ? target_ : host_;
  side.framer.Receive(kd::TimePoint{}, entry.bytes);
  while (auto item = side.framer.Next()) {
    if (from_target) {
      TakeFromTarget(std::move(*item));
    } else {
      TakeFromHost(std::move(*item));
    }
  }
}

/// Ids alternate; a packet whose id is not the next one was sent again (kd-protocol.md 1.5).
bool RecordedSession::IsNew(Side& side, const kd::Framer::Item& item) {
  const std::uint32_t id = item.id & ~kd::kSyncBit;
  const bool first = !std::exchange(side.seen_any, true);
  const bool starts = first || (item.id & kd::kSyncBit) != 0;
  if (!starts && id != side.expected) return false;
  side.expected = id ^ 1;
  return true;
}

void RecordedSession::TakeFromTarget(kd::Framer::Item item) {
  if (item.kind == kd::Framer::Kind::kControl && item.type == kd::PacketType::kReset)
    target_.expected = host_.expected = kd::kInitialPacketId;
  if (item.kind != kd::Framer::Kind::kData || !IsNew(target_, item)) return;
  ++packets_;
  Packet packet{item.type, std::move(item.payload), now_};
  switch (packet.type) {
    case kd::PacketType::kStateManipulate: return TakeReply(packet.payload);
    case kd::PacketType::kStateChange64: return TakeStop(std::move(packet));
    case kd::PacketType::kDebugIo:
    case kd::PacketType::kFileIo:
    case kd::PacketType::kTraceIo:
      if (acts_.back().stop) {  // it runs
        acts_.emplace_back();
        left_ = false;
      }
      // A print of the synchronizing target comes again when nobody acknowledged it.
      if (!acts_.back().running.empty() && acts_.back().running.back().payload == packet.payload &&
          (item.id & kd::kSyncBit) != 0)
        return;
      acts_.back().running.push_back(std::move(packet));
      return;
    default: return;
  }
}

void RecordedSession::TakeStop(Packet packet) {
  if (acts_.back().stop) {
    if (!left_ && acts_.back().stop->payload == packet.payload) return;  // sent again after a RESET
    acts_.emplace_back();
    acts_.back().switched = switching_;
  }
  left_ = switching_ = false;
  request_.reset();
  acts_.back().stop = std::move(packet);
}

void RecordedSession::TakeReply(kd::ByteView payload) {
  if (!request_) return;
  const kd::Bytes request = *std::exchange(request_, std::nullopt);
  const Result<kd::ManipulateReply> reply = kd::DecodeReply(payload);
  if (!reply || static_cast<std::uint32_t>(reply->api) != kd::Load32(request, 0)) return;
  Act& act = acts_.back();
  if (reply->api == Api::kReadVirtual || reply->api == Api::kReadPhysical) {
    const kd::ReadResult read = kd::DecodeRead(*reply, kd::Load32(request, 24));
    (reply->api == Api::kReadVirtual ? act.virtual_memory : act.physical_memory)
        .Put(kd::Load64(request, 16), read.data);
  } else if (reply->api == Api::kWriteVirtual && reply->Succeeded()) {
    const kd::ByteView data = kd::ByteView(request).subspan(std::min(request.size(), kd::kManipulateSize));
    act.virtual_memory.Put(
        kd::Load64(request, 16),
        data.first(std::min<std::size_t>(data.size(), kd::DecodeWritten(*reply, data.size()))));
  }
  act.replies[Key(request)] = kd::Bytes(payload.begin(), payload.end());
}

void RecordedSession::TakeFromHost(kd::Framer::Item item) {
  if (item.kind == kd::Framer::Kind::kControl && item.type == kd::PacketType::kReset)
    target_.expected = host_.expected = kd::kInitialPacketId;
  if (item.kind != kd::Framer::Kind::kData || item.type != kd::PacketType::kStateManipulate) return;
  if (!IsNew(host_, item)) return;
  ++packets_;
  const auto api = static_cast<Api>(kd::Load32(item.payload, 0));
  if (EndsStop(api)) {
    left_ = true;
    switching_ = api == Api::kSwitchProcessor;
  }
  request_ = std::move(item.payload);
}

Result<RecordedSession> ReadRecording(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const int error = errno;
    return Error{Errc::kNotFound, "cannot open the recording " + path + ": " + std::strerror(error), 0,
                 error};
  }
  std::error_code no_size;
  if (std::filesystem::file_size(path, no_size) > kMaxRecording && !no_size)
    return Error{Errc::kLimitExceeded, "the recording " + path + " is larger than 256 MiB"};
  RecordedSession session;
  std::string line;
  std::size_t number = 0;
  while (std::getline(file, line)) {
    ++number;
    if (line.empty()) continue;
    const Result<recording::Entry> entry = recording::ParseEntry(line);
    if (!entry) {
      if (file.eof()) break;  // torn while it was written
      return Error{entry.error().code,
                   path + " line " + std::to_string(number) + ": " + entry.error().message};
    }
    session.Add(*entry);
  }
  if (session.packets() == 0)
    return Error{Errc::kMalformed, path + " holds no packet of a kernel debugger; nothing to replay"};
  return session;
}

}  // namespace longwire
