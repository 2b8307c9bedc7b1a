#include "server/replay/replay_machine.h"

#include <algorithm>
#include <utility>

#include "proto/kd/debug_io.h"

namespace longwire {
namespace {

using kd::Api;
constexpr std::chrono::milliseconds kSendAgain{250};
constexpr std::size_t kReturnStatus = 8, kUnion = 16;

bool IsQuestion(const RecordedSession::Packet& packet) {
  if (packet.type == kd::PacketType::kFileIo) return true;
  if (packet.type != kd::PacketType::kDebugIo) return false;
  const auto text = kd::DecodeDebugIo(packet.payload);
  return text && text->kind == kd::DebugIo::Kind::kPrompt;
}

/// What a request that only reads, or only changes what a recording cannot show, answers.
kd::Bytes ReplyTo(const kd::Bytes& request, std::uint32_t status) {
  kd::Bytes reply(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(
                                                         std::min(request.size(), kd::kManipulateSize)));
  reply.resize(kd::kManipulateSize);
  kd::Store(std::span(reply), kReturnStatus, status);
  return reply;
}

}  // namespace

void ReplayMachine::Start(kd::TimePoint now) { EnterAct(now, 0); }

bool ReplayMachine::Over() const {
  if (outstanding_ || stopped_ || awaits_answer_) return false;
  return past_the_last_stop_ || (!act().stop && played_ == act().running.size());
}

void ReplayMachine::EnterAct(kd::TimePoint now, std::size_t number) {
  act_ = number;
  played_ = 0;
  stopped_ = false;
  act_began_ = now;
  SendNext(now);
}

/// When the recorded packet `packet` is due, counted from the first of the act.
static kd::TimePoint DueAt(kd::TimePoint began, double first, double seconds, double speed) {
  if (speed <= 0) return began;
  return began + std::chrono::duration_cast<kd::Duration>(
                     std::chrono::duration<double>(std::max(0.0, seconds - first) / speed));
}

void ReplayMachine::SendNext(kd::TimePoint now) {
  if (outstanding_ || stopped_ || awaits_answer_ || past_the_last_stop_) return;
  const RecordedSession::Packet* next = nullptr;
  if (played_ < act().running.size()) {
    next = &act().running[played_];
  } else if (act().stop) {
    next = &*act().stop;
  }
  if (next == nullptr) return;
  const double first = act().running.empty() ? next->seconds : act().running.front().seconds;
  const kd::TimePoint due = DueAt(act_began_, first, next->seconds, speed_);
  if (due > now) {
    send_again_ = due;
    return;
  }
  outstanding_ = Outgoing{next->type, next->payload, true};
  Transmit(now);
}

void ReplayMachine::Send(kd::TimePoint now, kd::PacketType type, kd::Bytes payload) {
  outstanding_ = Outgoing{type, std::move(payload), false};
  Transmit(now);
}

void ReplayMachine::Transmit(kd::TimePoint now) {
  const kd::Bytes packet = kd::EncodeDataPacket(outstanding_->type, next_id_, outstanding_->payload);
  output_.insert(output_.end(), packet.begin(), packet.end());
  send_again_ = now + kSendAgain;
}

std::optional<kd::TimePoint> ReplayMachine::Deadline() const {
  auto deadline = framer_.Deadline();
  if (send_again_ && (!deadline || *send_again_ < *deadline)) deadline = send_again_;
  return deadline;
}

void ReplayMachine::Tick(kd::TimePoint now) {
  framer_.Tick(now);
  if (!send_again_ || *send_again_ > now) return;
  send_again_.reset();
  if (outstanding_) {
    Transmit(now);
  } else {
    SendNext(now);
  }
}

void ReplayMachine::Receive(kd::TimePoint now, kd::ByteView bytes) {
  framer_.Receive(now, bytes);
  while (auto item = framer_.Next()) {
    switch (item->kind) {
      case kd::Framer::Kind::kControl: TakeControl(now, *item); break;
      case kd::Framer::Kind::kData: TakeData(now, std::move(*item)); break;
      case kd::Framer::Kind::kBad: {
        const kd::Bytes resend = kd::EncodeControlPacket(kd::PacketType::kResend, 0);
        output_.insert(output_.end(), resend.begin(), resend.end());
        break;
      }
    }
  }
}

void ReplayMachine::TakeControl(kd::TimePoint now, const kd::Framer::Item& item) {
  if (item.type == kd::PacketType::kResend) {
    if (outstanding_) Transmit(now);
  } else if (item.type == kd::PacketType::kReset) {
    next_id_ = expected_id_ = kd::kInitialPacketId;
    const kd::Bytes reset = kd::EncodeControlPacket(kd::PacketType::kReset, 0);
    output_.insert(output_.end(), reset.begin(), reset.end());
    if (stopped_ && !outstanding_) outstanding_ = Outgoing{act().stop->type, act().stop->payload, true};
    if (outstanding_) Transmit(now);
  } else if (item.type == kd::PacketType::kAcknowledge) {
    if (!outstanding_ || item.id != (next_id_ & ~kd::kSyncBit)) return;
    next_id_ = (next_id_ & ~kd::kSyncBit) ^ 1;
    const bool from_act = std::exchange(outstanding_, std::nullopt)->from_act;
    send_again_.reset();
    if (from_act && !stopped_) {
      if (played_ < act().running.size()) {
        awaits_answer_ = IsQuestion(act().running[played_]);
        ++played_;
      } else {
        stopped_ = true;
      }
    }
    SendNext(now);
  }
}

void ReplayMachine::TakeData(kd::TimePoint now, kd::Framer::Item item) {
  if (outstanding_) {  // the host went on, so it has what we sent; its packet must come again (1.7)
    const kd::Bytes resend = kd::EncodeControlPacket(kd::PacketType::kResend, 0);
    output_.insert(output_.end(), resend.begin(), resend.end());
    kd::Framer::Item acknowledge;
    acknowledge.type = kd::PacketType::kAcknowledge;
    acknowledge.id = next_id_ & ~kd::kSyncBit;
    return TakeControl(now, acknowledge);
  }
  const kd::Bytes acknowledge = kd::EncodeControlPacket(kd::PacketType::kAcknowledge, item.id);
  output_.insert(output_.end(), acknowledge.begin(), acknowledge.end());
  if (item.id != expected_id_) return;
  if (item.type == kd::PacketType::kStateManipulate && stopped_) {
    expected_id_ ^= 1;
    TakeRequest(now, item.payload);
  } else if (item.type != kd::PacketType::kStateManipulate && awaits_answer_) {
    expected_id_ ^= 1;
    awaits_answer_ = false;
    SendNext(now);
  }
}

void ReplayMachine::TakeRequest(kd::TimePoint now, const kd::Bytes& request) {
  const auto api = static_cast<Api>(kd::Load32(request, 0));
  if (api == Api::kContinue || api == Api::kContinue2) return LeaveStop(now, false);
  if (api == Api::kSwitchProcessor) return LeaveStop(now, true);
  if (!kd::HasReply(api)) return;
  Send(now, kd::PacketType::kStateManipulate, Answer(request));
}

void ReplayMachine::LeaveStop(kd::TimePoint now, bool switched) {
  const auto& acts = session_.acts();
  std::size_t next = act_ + 1;
  if (switched) {
    // A switch that was not recorded leaves the target where it is.
    const bool recorded = next < acts.size() && acts[next].switched;
    return EnterAct(now, recorded ? next : act_);
  }
  while (next < acts.size() && acts[next].switched) ++next;
  if (next < acts.size()) return EnterAct(now, next);
  stopped_ = false;
  past_the_last_stop_ = true;
}

kd::Bytes ReplayMachine::Answer(const kd::Bytes& request) {
  const auto api = static_cast<Api>(kd::Load32(request, 0));
  if (api == Api::kReadVirtual || api == Api::kReadPhysical)
    return AnswerRead(request, api == Api::kReadPhysical);
  const kd::Bytes key = RecordedSession::Key(request);
  if (const auto found = act().replies.find(key); found != act().replies.end()) return found->second;
  if (api == Api::kGetVersion) {  // the same all the time
    for (const Act& other : session_.acts()) {
      if (const auto found = other.replies.find(key); found != other.replies.end()) return found->second;
    }
  }
  if (api == Api::kWriteBreakpoint) {
    kd::Bytes reply = ReplyTo(request, kd::kStatusSuccess);
    const std::uint64_t address = kd::Load64(request, kUnion);
    if (!handles_.contains(address) && handles_.size() < kd::kBreakpointSlots)
      handles_[address] = static_cast<std::uint32_t>(handles_.size()) + 1;
    const auto handle = handles_.find(address);
    if (handle == handles_.end()) return ReplyTo(request, kd::kStatusUnsuccessful);
    kd::Store(std::span(reply), kUnion + 8, handle->second);
    return reply;
  }
  if (api == Api::kRestoreBreakpoint || api == Api::kSetContext) return ReplyTo(request, kd::kStatusSuccess);
  return ReplyTo(request, kd::kStatusUnsuccessful);
}

std::optional<std::byte> ReplayMachine::Remembered(std::uint64_t address, bool physical) const {
  for (std::size_t number = act_ + 1; number-- > 0;) {
    const Act& at = session_.acts()[number];
    const ByteMap& memory = physical ? at.physical_memory : at.virtual_memory;
    if (memory.Knows(address)) return memory.At(address);
  }
  return std::nullopt;
}

kd::Bytes ReplayMachine::AnswerRead(const kd::Bytes& request, bool physical) const {
  const std::uint64_t address = kd::Load64(request, kUnion);
  const std::size_t count = std::min<std::size_t>(kd::Load32(request, kUnion + 8), kd::kMaxManipulateData);
  kd::Bytes data;
  while (data.size() < count) {
    const auto byte = Remembered(address + data.size(), physical);
    if (!byte) break;
    data.push_back(*byte);
  }
  kd::Bytes reply = ReplyTo(request, data.size() == count ? kd::kStatusSuccess : kd::kStatusUnsuccessful);
  kd::Store(std::span(reply), kUnion + 12, static_cast<std::uint32_t>(data.size()));
  reply.insert(reply.end(), data.begin(), data.end());
  return reply;
}

}  // namespace longwire
