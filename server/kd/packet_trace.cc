#include "server/kd/packet_trace.h"

#include <cstdio>

namespace longwire {
namespace {

const char* NameOf(kd::PacketType type) {
  switch (type) {
    case kd::PacketType::kStateChange32:
    case kd::PacketType::kStateChange64: return "state change";
    case kd::PacketType::kStateManipulate: return "manipulate";
    case kd::PacketType::kDebugIo: return "debug I/O";
    case kd::PacketType::kAcknowledge: return "acknowledge";
    case kd::PacketType::kResend: return "resend";
    case kd::PacketType::kReset: return "reset";
    case kd::PacketType::kPollBreakIn: return "poll break-in";
    case kd::PacketType::kTraceIo: return "trace I/O";
    case kd::PacketType::kControlRequest: return "control request";
    case kd::PacketType::kFileIo: return "file I/O";
    case kd::PacketType::kUnused: break;
  }
  return "packet of unknown type";
}

const char* NameOf(kd::Framer::Reason reason) {
  switch (reason) {
    case kd::Framer::Reason::kByteCount: return "its byte count is too large";
    case kd::Framer::Reason::kTrailer: return "it has no trailing AA";
    case kd::Framer::Reason::kChecksum: return "its checksum is wrong";
    case kd::Framer::Reason::kGap: return "it ended too early";
    case kd::Framer::Reason::kHeader: return "its header makes no sense";
    case kd::Framer::Reason::kNone: break;
  }
  return "damaged";
}

std::string Line(const kd::Framer::Item& item) {
  if (item.kind == kd::Framer::Kind::kBad) return std::string("damaged packet: ") + NameOf(item.reason);
  char text[96];
  if (item.kind == kd::Framer::Kind::kControl) {
    std::snprintf(text, sizeof text, "%s, id %08x", NameOf(item.type), item.id);
  } else if (item.payload.size() >= 4) {
    std::snprintf(text, sizeof text, "%s %08x, id %08x, %zu bytes", NameOf(item.type),
                  kd::Load32(item.payload, 0), item.id, item.payload.size());
  } else {
    std::snprintf(text, sizeof text, "%s, id %08x, %zu bytes", NameOf(item.type), item.id,
                  item.payload.size());
  }
  return text;
}

}  // namespace

void PacketTrace::Switch(bool on) {
  on_ = on;
  from_target_.Clear();
  to_target_.Clear();
  text_.clear();
  left_out_ = 0;
}

void PacketTrace::Take(kd::TimePoint now, kd::ByteView bytes, kd::Framer& framer, bool sent) {
  if (!on_ || bytes.empty()) return;
  const std::string direction = sent ? "KD> " : "KD< ";
  const std::uint64_t junk_before = framer.JunkBytes();
  framer.Tick(now);
  framer.Receive(now, bytes);
  // The break-in byte is the only one a host sends outside of packets.
  if (const std::uint64_t junk = framer.JunkBytes() - junk_before; junk > 0)
    Add(direction + (sent ? "break-in" : std::to_string(junk) + " bytes that belong to no good packet"));
  while (const auto item = framer.Next()) Add(direction + Line(*item));
}

void PacketTrace::Add(const std::string& line) {
  if (text_.size() + line.size() >= kMaxPending) {
    ++left_out_;
    return;
  }
  text_ += line;
  text_ += '\n';
}

std::string PacketTrace::TakeText() {
  std::string text = std::exchange(text_, {});
  if (const std::uint64_t left_out = std::exchange(left_out_, 0); left_out > 0)
    text += std::to_string(left_out) + " more packets are not shown\n";
  return text;
}

}  // namespace longwire
