#include "proto/kd/link_machine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "proto/kd/manipulate.h"

namespace longwire::kd {
namespace {

/// RESETs sent longer ago than this are not waiting in a buffer any more: a RESET from the target is its own
/// idea.
constexpr std::chrono::seconds kLateResetAnswer{10};
constexpr int kMostUnansweredResets = 16;

/// Serial ids alternate between two values; every reply follows an acknowledged packet, so none begins a
/// stream. Anything else is a header that was damaged, which no checksum covers (1.5).
bool HeaderIsSound(const Framer::Item& item) {
  const bool sync = (item.id & kSyncBit) != 0;
  return (item.id & ~(kSyncBit | 1)) == kInitialPacketId &&
         !(sync && item.type == PacketType::kStateManipulate);
}

}  // namespace

LinkMachine::LinkMachine(Timers timers) : timers_(timers), framer_(timers.gap) {}

void LinkMachine::Receive(TimePoint now, ByteView bytes) {
  if (bytes.empty()) return;
  counters_.bytes_received += bytes.size();
  last_received_ = now;
  AttachEagerly(now);
  framer_.Receive(now, bytes);
  Drain(now);
}

void LinkMachine::Tick(TimePoint now) {
  framer_.Tick(now);
  Drain(now);
  if (resend_due_ && now >= *resend_due_) SendResend(now);
  if (repeating_until_ && now >= *repeating_until_) repeating_until_.reset();
  TickOutstanding(now);
  TickReset(now);
  TickAttach(now);
}

std::optional<TimePoint> LinkMachine::Deadline() const {
  std::optional<TimePoint> earliest = framer_.Deadline();
  const auto consider = [&earliest](std::optional<TimePoint> time) {
    if (time && (!earliest || *time < *earliest)) earliest = time;
  };
  consider(resend_due_);
  consider(repeating_until_);
  if (outstanding_) consider(outstanding_->deadline);
  if (outstanding_ && outstanding_->acknowledged) consider(outstanding_->ask_again);
  if (resetting_) consider(resetting_->deadline);
  if (attach_) {
    if (attach_->mode != AttachMode::kListen) consider(attach_->deadline);
    consider(attach_->give_up);
  }
  return earliest;
}

Bytes LinkMachine::TakeOutput() { return std::exchange(output_, {}); }

std::vector<LinkEvent> LinkMachine::TakeEvents() { return std::exchange(events_, {}); }

// ---- Receiving

void LinkMachine::Drain(TimePoint now) {
  while (auto item = framer_.Next()) {
    switch (item->kind) {
      case Framer::Kind::kData: OnData(now, std::move(*item)); break;
      case Framer::Kind::kControl: OnControl(now, *item); break;
      case Framer::Kind::kBad: OnBad(now, item->reason, item->id); break;
    }
  }
  counters_.junk_bytes = framer_.JunkBytes();
}

void LinkMachine::OnBad(TimePoint now, Framer::Reason reason, std::uint32_t id) {
  if (reason == Framer::Reason::kChecksum) {
    ++counters_.checksum_errors;
  } else {
    ++counters_.framing_errors;
  }
  // Boot text holds hundreds of false leaders: nothing is asked for before the peer has shown that it speaks
  // KD, and then only so often.
  if (!good_packet_seen_ || NeedsNoCopy(id)) return;
  const TimePoint due = last_resend_ ? *last_resend_ + timers_.resend_interval : now;
  if (due > now) {
    resend_due_ = due;
  } else {
    SendResend(now);
  }
}

/// Whether a damaged packet, whose header says `id`, is one that was delivered before. A stopped target that
/// was asked nothing has nothing else to send, and one that waits for an acknowledge repeats by itself. A
/// RESEND that meets a target which has its acknowledge by now makes it report its stop again, and that
/// report would stand for the acknowledge of a Continue which it never got (1.7).
bool LinkMachine::NeedsNoCopy(std::uint32_t id) const {
  if (!rx_known_ || id == expect_rx_) return false;
  return outstanding_ ? !outstanding_->acknowledged : target_waits_;
}

void LinkMachine::OnData(TimePoint now, Framer::Item item) {
  if (!Kdnet() && !HeaderIsSound(item)) {
    OnBad(now, Framer::Reason::kHeader, item.id);
    return;
  }
  ++counters_.data_packets_received;
  repeating_until_.reset();
  good_packet_seen_ = true;
  resend_due_.reset();
  if (Kdnet()) {
    OnKdnetData(now, std::move(item));
  } else {
    OnSerialData(now, std::move(item));
  }
}

void LinkMachine::OnSerialData(TimePoint now, Framer::Item item) {
  const std::uint32_t id = item.id & ~kSyncBit;
  Write(EncodeControlPacket(PacketType::kAcknowledge, id));

  const bool sync = (item.id & kSyncBit) != 0;
  const bool repetition = IsRepetition(item);
  // A target that takes a repeated request for an acknowledge (1.7) goes on to the next id with a packet that
  // never arrived; so only what equals the last packet is a retransmission.
  const bool fresh = !repetition && (sync || !rx_known_ || id == expect_rx_ || !EqualsLast(item));
  if (!fresh) {
    ++counters_.duplicates;
    if (repetition) Align(id);
    return;
  }
  const bool first = sync || realigned_;
  if (sync) OnSync();
  Align(id);
  first_packet_.reset();
  if (first) first_packet_ = Packet{item.type, item.payload};
  last_packet_ = {item.type, item.payload};
  Take(now, std::move(item));
}

void LinkMachine::Take(TimePoint now, Framer::Item item) {
  MarkSynchronized();
  stream_seen_ = true;
  Deliver(now, std::move(item));
}

void LinkMachine::Align(std::uint32_t id) {
  expect_rx_ = After(id);
  rx_known_ = true;
  realigned_ = false;
}

bool LinkMachine::EqualsLast(const Framer::Item& item) const {
  return last_packet_.type == item.type && last_packet_.payload == item.payload;
}

bool LinkMachine::IsRepetition(const Framer::Item& item) const {
  if (!first_packet_ || first_packet_->type != item.type || first_packet_->payload != item.payload)
    return false;
  if ((item.id & kSyncBit) != 0) return true;
  return realigned_ && rx_known_ && item.id == expect_rx_;
}

void LinkMachine::OnSync() {
  ++counters_.syncs;
  next_tx_ = kInitialPacketId;
  resets_unanswered_ = 0;
  resetting_.reset();
  Fail(Errc::kTargetRestarted, "the target restarted its stream; ask again after it has reported its state");
  if (stream_seen_) Emit(LinkEvent::Kind::kTargetRestarted);
}

void LinkMachine::Deliver(TimePoint now, Framer::Item item) {
  // Only the answer to a RESET, or a packet, tells that the target listens again.
  resetting_.reset();
  if (outstanding_ && !outstanding_->acknowledged && outstanding_->expect == Expect::kAcknowledge) {
    // The target is past the packet and will not acknowledge it any more (8.2): its next new packet says so.
    ++counters_.acknowledges_implied;
    OnAcknowledge(now, next_tx_);
  }
  quiet_since_command_ = false;
  target_waits_ = item.type == PacketType::kStateManipulate || item.type == PacketType::kStateChange64;
  switch (item.type) {
    case PacketType::kStateManipulate: DeliverManipulate(now, std::move(item)); return;
    case PacketType::kStateChange64: attach_.reset(); break;
    case PacketType::kDebugIo:
    case PacketType::kTraceIo:
    case PacketType::kControlRequest:
    case PacketType::kFileIo: break;
    default: Drop(std::move(item), "a packet of unknown type was acknowledged and ignored"); return;
  }
  events_.push_back({LinkEvent::Kind::kDataReceived, item.type, std::move(item.payload), {}});
}

void LinkMachine::DeliverManipulate(TimePoint now, Framer::Item item) {
  if (!outstanding_ || outstanding_->expect != Expect::kReply) {
    Drop(std::move(item), "a reply came that nobody waits for");
    return;
  }
  if (!Answers(item.payload, outstanding_->payload)) {
    Drop(std::move(item), "a reply to another request came; waiting on");
    return;
  }
  if (!outstanding_->acknowledged) OnAcknowledge(now, next_tx_);
  outstanding_.reset();
  events_.push_back({LinkEvent::Kind::kRequestReply, item.type, std::move(item.payload), {}});
}

void LinkMachine::Drop(Framer::Item item, std::string why) {
  ++counters_.dropped;
  events_.push_back(
      {LinkEvent::Kind::kDropped, item.type, std::move(item.payload), {Errc::kMalformed, std::move(why)}});
}

void LinkMachine::MarkSynchronized() {
  if (synchronized_) return;
  synchronized_ = true;
  Emit(LinkEvent::Kind::kSynchronized);
}

void LinkMachine::OnControl(TimePoint now, const Framer::Item& item) {
  ++counters_.control_packets_received;
  good_packet_seen_ = true;
  switch (item.type) {
    case PacketType::kAcknowledge: OnAcknowledge(now, item.id); break;
    case PacketType::kResend:
      ++counters_.resends_received;
      if (outstanding_ && !outstanding_->acknowledged) {
        outstanding_->unanswered = 0;
        TransmitAgain(now);
      } else if (!outstanding_ && quiet_since_command_) {
        // Only a stopped target asks. What it reports never came, and a copy of the command, or noise, was
        // its acknowledge (1.7): it would wait for ever.
        BeginReset(now);
      }
      break;
    case PacketType::kReset: OnReset(now, item.id); break;
    default: break;
  }
}

void LinkMachine::OnAcknowledge(TimePoint now, std::uint32_t id) {
  if (!outstanding_ || outstanding_->acknowledged || id != next_tx_) return;
  next_tx_ = After(next_tx_);
  // The target reads in order: it has taken every RESET sent before this packet, and this packet ends the
  // repetitions.
  resets_unanswered_ = 0;
  first_packet_.reset();
  if (outstanding_->expect == Expect::kAcknowledge) {
    outstanding_.reset();
    quiet_since_command_ = true;
    target_waits_ = false;
    Emit(LinkEvent::Kind::kAcknowledged);
    return;
  }
  outstanding_->acknowledged = true;
  outstanding_->deadline = now + outstanding_->reply_timeout + timers_.FrameTime(kMaxFrame);
  if (Kdnet()) outstanding_->ask_again = now + timers_.acknowledge;
}

void LinkMachine::OnReset(TimePoint now, std::uint32_t id) {
  ++counters_.resets_received;
  const bool late = resets_unanswered_ > 0 && last_reset_sent_ && now < *last_reset_sent_ + kLateResetAnswer;
  AdoptReset(id);
  AwaitRepetition(now);
  if (resetting_ || late) {
    // An answer to one of ours. With several under way the target repeats its packet after each: see
    // IsRepetition.
    resets_unanswered_ = std::max(0, resets_unanswered_ - 1);
    resetting_.reset();
    if (attach_) attach_->deadline = now + timers_.alternation;
    MarkSynchronized();
    return;
  }
  first_packet_.reset();
  if (!Kdnet()) Fail(Errc::kLinkFailed, "the target reset the link while this was in flight; ask again");
  if (!last_reset_sent_ || now >= *last_reset_sent_ + timers_.reset_guard) {
    last_reset_sent_ = now;
    WriteReset();
  }
  synchronized_ = true;
  if (Kdnet()) {
    // Both ends send again what is under way.
    if (outstanding_ && !outstanding_->acknowledged) TransmitAgain(now);
    return;
  }
  Emit(LinkEvent::Kind::kLinkReset);
}

/// A target that has nothing to repeat is not waited for longer than for an acknowledge.
void LinkMachine::AwaitRepetition(TimePoint now) {
  repeating_until_ = now + timers_.acknowledge + timers_.FrameTime(kMaxFrame);
}

// ---- Sending

Result<void> LinkMachine::SendRequest(TimePoint now, Bytes payload, std::optional<Duration> reply_timeout) {
  return Send(now, PacketType::kStateManipulate, std::move(payload), Expect::kReply,
              reply_timeout.value_or(timers_.reply));
}

Result<void> LinkMachine::SendNoReply(TimePoint now, Bytes payload) {
  return Send(now, PacketType::kStateManipulate, std::move(payload), Expect::kAcknowledge, {});
}

Result<void> LinkMachine::SendData(TimePoint now, PacketType type, Bytes payload) {
  return Send(now, type, std::move(payload), Expect::kAcknowledge, {});
}

Result<void> LinkMachine::Send(TimePoint now, PacketType type, Bytes payload, Expect expect,
                               Duration reply_timeout) {
  if (!CanSend())
    return Error{Errc::kBusy, "a packet is still in flight on this link; send after it has ended"};
  if (payload.empty() || payload.size() > timers_.most_payload) {
    return Error{Errc::kLimitExceeded, "a KD packet of this link carries 1 to " +
                                           std::to_string(timers_.most_payload) +
                                           " bytes; split the request"};
  }
  quiet_since_command_ = false;
  outstanding_ =
      Outstanding{type, std::move(payload), expect, false, timers_.tries, reply_timeout, now, 0, {}, {}};
  Transmit(now);
  return {};
}

void LinkMachine::Transmit(TimePoint now) {
  const Bytes frame = EncodeDataPacket(outstanding_->type, next_tx_, outstanding_->payload);
  --outstanding_->tries_left;
  outstanding_->sent_at = now;
  outstanding_->deadline = now + timers_.acknowledge + timers_.FrameTime(frame.size());
  ++counters_.data_packets_sent;
  Write(frame);
}

/// Judges the copy whose time is up. Damage that came before it, an acknowledge for example, tells nothing of
/// what the target does now.
void LinkMachine::CountSilence() {
  const bool silent = !last_received_ || *last_received_ <= outstanding_->sent_at;
  outstanding_->unanswered = silent ? outstanding_->unanswered + 1 : 0;
}

/// The acknowledge of what made the target run was lost, and it has had nothing to say since.
bool LinkMachine::RunsSilently() const {
  return outstanding_->expect == Expect::kAcknowledge &&
         outstanding_->unanswered >= std::min(kSilentTries, timers_.tries);
}

void LinkMachine::TransmitAgain(TimePoint now) {
  const bool may_run = outstanding_->expect == Expect::kAcknowledge && outstanding_->unanswered > 0;
  if (outstanding_->tries_left <= 0 && !may_run) {
    Fail(Errc::kTimedOut, "the target did not acknowledge a packet; the link is being reset");
    BeginReset(now);
    return;
  }
  ++counters_.retransmissions;
  Transmit(now);
}

void LinkMachine::Write(const Bytes& bytes) {
  counters_.bytes_sent += bytes.size();
  output_.insert(output_.end(), bytes.begin(), bytes.end());
}

void LinkMachine::SendResend(TimePoint now) {
  resend_due_.reset();
  last_resend_ = now;
  ++counters_.resends_sent;
  Write(EncodeControlPacket(PacketType::kResend, 0));
}

void LinkMachine::SendReset(TimePoint now) {
  last_reset_sent_ = now;
  resets_unanswered_ = std::min(resets_unanswered_ + 1, kMostUnansweredResets);
  if (!Kdnet()) {
    next_tx_ = kInitialPacketId;
    expect_rx_ = kInitialPacketId;
    // A running target throws the RESET away and goes on with its own id; only its answer settles ours.
    rx_known_ = false;
    realigned_ = true;
    first_packet_.reset();
  }
  WriteReset();
}

void LinkMachine::WriteReset() {
  ++counters_.resets_sent;
  Write(EncodeControlPacket(PacketType::kReset, Kdnet() ? next_tx_ : 0));
}

void LinkMachine::BreakIn(TimePoint now) {
  AttachEagerly(now);
  WriteBreakIn();
}

void LinkMachine::WriteBreakIn() {
  ++counters_.break_ins_sent;
  Write(Bytes{kBreakInByte});
}

void LinkMachine::Reset(TimePoint now) {
  Fail(Errc::kCancelled, "the link was reset while this was in flight");
  BeginReset(now);
}

void LinkMachine::BeginReset(TimePoint now) {
  synchronized_ = quiet_since_command_ = target_waits_ = false;
  resetting_ = Resetting{timers_.reset_tries - 1, now + timers_.reset_wait};
  SendReset(now);
}

void LinkMachine::Reopen() {
  Fail(Errc::kLinkFailed, "the stream to the target was closed");
  framer_.Clear();
  output_.clear();
  next_tx_ = expect_rx_ = FirstId();
  delivered_.reset();
  rx_known_ = synchronized_ = stream_seen_ = good_packet_seen_ = quiet_since_command_ = target_waits_ = false;
  realigned_ = true;
  resetting_.reset();
  repeating_until_.reset();
  attach_.reset();
  first_packet_.reset();
  last_reset_sent_.reset();
  resets_unanswered_ = 0;
  last_resend_.reset();
  resend_due_.reset();
  last_received_.reset();
}

void LinkMachine::Fail(Errc code, std::string message) {
  if (!outstanding_) return;
  outstanding_.reset();
  events_.push_back({LinkEvent::Kind::kRequestFailed, PacketType::kUnused, {}, {code, std::move(message)}});
}

void LinkMachine::Emit(LinkEvent::Kind kind) { events_.push_back({kind, PacketType::kUnused, {}, {}}); }

// ---- Timers

void LinkMachine::TickOutstanding(TimePoint now) {
  if (!outstanding_) return;
  if (now < outstanding_->deadline) {
    if (!outstanding_->ask_again || now < *outstanding_->ask_again) return;
    // A target whose reply was lost waits for its acknowledge, and sends it again after a RESET.
    outstanding_->ask_again = now + timers_.acknowledge;
    SendReset(now);
    return;
  }
  if (!outstanding_->acknowledged) {
    CountSilence();
    if (RunsSilently()) {
      ++counters_.acknowledges_implied;
      OnAcknowledge(now, next_tx_);
    } else {
      TransmitAgain(now);
    }
    return;
  }
  Fail(Errc::kTimedOut, "the target acknowledged a request but did not reply; the link is being reset");
  BeginReset(now);
}

void LinkMachine::TickReset(TimePoint now) {
  if (!resetting_ || now < resetting_->deadline) return;
  if (resetting_->tries_left <= 0) {
    resetting_.reset();
    events_.push_back(
        {LinkEvent::Kind::kLinkLost,
         PacketType::kUnused,
         {},
         {Errc::kLinkFailed, "the target does not answer; check the cable and whether the machine runs"}});
    return;
  }
  --resetting_->tries_left;
  resetting_->deadline = now + timers_.reset_wait;
  SendReset(now);
}

}  // namespace longwire::kd
