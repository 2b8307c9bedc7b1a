#include "proto/firewire/host_exchange.h"

#include <algorithm>

#include "proto/kd/bare_packet.h"

namespace longwire::firewire {
namespace {

using Kind = BusRequest::Kind;

/// Break-in, RESEND, a packet and its repetition: the link machine has no more under way.
constexpr std::size_t kMostOutgoing = 8;

bool IsData(ByteView body) { return body.size() > kd::kHeaderSize; }
ByteView HeaderOf(ByteView packet) { return packet.first(std::min(packet.size(), kd::kHeaderSize)); }
std::uint32_t IdOf(ByteView packet) { return kd::DecodeHeader(packet).id; }

void Append(Bytes& to, ByteView what) { to.insert(to.end(), what.begin(), what.end()); }

Bytes StatusBytes(std::uint32_t status) {
  Bytes bytes(kStatusSize);
  kd::Store(std::span<std::byte>(bytes), 0, status);
  return bytes;
}

}  // namespace

// ---- discovery

void HostExchange::Discover(TimePoint now, std::span<const std::uint32_t> rom, std::size_t most_bytes) {
  const auto block = FindConfiguration(rom);
  if (!block) return Fail(Errc::kNotFound, "it does not wait for a debugger");
  block_ = *block;
  most_bytes_ = std::clamp<std::size_t>(most_bytes & ~std::size_t{3}, 4, kPacketSize);
  step_ = Step::kConfiguration;
  // The kernel, too, needs a while to look at a bus that was reset.
  due_ = now + (setbacks_ == 0 ? Duration::zero() : timing_.poll * (1 << setbacks_));
  filled_ = 0;
  packet_.clear();
  if (std::exchange(bad_, false)) {
    // What was perhaps placed is the request for a copy, which is void now; not what waits behind it.
    outgoing_.pop_front();
    perhaps_armed_ = false;
  }
}

void HostExchange::Fail(Errc code, std::string why) {
  failure_ = Error{code, std::move(why)};
  step_ = Step::kUnknown;
}

/// Only a node that answers again and again in vain is given up: a reset comes seldom alone.
void HostExchange::Setback(TimePoint now, BusOutcome outcome) {
  if (++setbacks_ > kMostSetbacks) {
    return Fail(Errc::kLinkFailed, outcome == BusOutcome::kBusy
                                       ? "the machine on the 1394 bus is busy for too long"
                                       : "the machine does not answer on the 1394 bus any more");
  }
  if (step_ == Step::kArm && outcome == BusOutcome::kFailed) perhaps_armed_ = true;
  // The target may have seen its packet taken; if not, it shows it again, and that is recognized.
  if (step_ == Step::kClear && outcome == BusOutcome::kFailed) Deliver();
  step_ = Step::kUnknown;
  due_ = now;
}

// ---- the bus

std::optional<TimePoint> HostExchange::Deadline() const {
  if (under_way_ || step_ == Step::kUnknown) return std::nullopt;
  return due_;
}

std::optional<BusRequest> HostExchange::Next(TimePoint now) {
  if (under_way_ || failure_ || step_ == Step::kUnknown || (due_ && now < *due_)) return std::nullopt;
  under_way_ = true;
  switch (step_) {
    case Step::kConfiguration: return BusRequest{Kind::kReadBlock, block_, kConfigurationSize, {}};
    case Step::kPollReceive: return BusRequest{Kind::kReadQuadlet, where_.receive, kStatusSize, {}};
    case Step::kPollSend: return BusRequest{Kind::kReadQuadlet, where_.send, kStatusSize, {}};
    case Step::kHead: return BusRequest{Kind::kReadBlock, where_.send, kSendPayload, {}};
    case Step::kArm: return BusRequest{Kind::kWriteQuadlet, where_.receive, 0, StatusBytes(kStatusPending)};
    case Step::kClear: return BusRequest{Kind::kWriteQuadlet, where_.send, 0, StatusBytes(kStatusFree)};
    case Step::kPayload: {
      const std::size_t done = packet_.size() - kd::kHeaderSize;
      return BusRequest{
          Kind::kReadBlock, where_.send + kSendPayload + done, std::min(announced_ - done, most_bytes_), {}};
    }
    case Step::kFill: {
      Bytes whole(kReceivePacket - kReceiveLength);
      kd::Store(std::span<std::byte>(whole), 0, static_cast<std::uint32_t>(outgoing_.front().size()));
      Append(whole, outgoing_.front());
      const ByteView part = ByteView(whole).subspan(filled_);
      const ByteView fits = part.first(std::min(part.size(), most_bytes_));
      return BusRequest{Kind::kWriteBlock, where_.receive + kReceiveLength + filled_, 0,
                        Bytes(fits.begin(), fits.end())};
    }
    case Step::kUnknown: break;
  }
  under_way_ = false;
  return std::nullopt;
}

void HostExchange::Complete(TimePoint now, BusOutcome outcome, ByteView data) {
  if (!under_way_) return;
  under_way_ = false;
  if (outcome == BusOutcome::kBusy) {
    if (!busy_since_) busy_since_ = now;
    if (now - *busy_since_ < timing_.busy_limit) {
      due_ = now + timing_.poll;
      return;
    }
  }
  busy_since_.reset();
  if (outcome != BusOutcome::kComplete) return Setback(now, outcome);
  due_ = now;
  Finish(now, data);
}

/// The transaction of `step_` is done; `data` is what was read.
void HostExchange::Finish(TimePoint now, ByteView data) {
  switch (step_) {
    case Step::kConfiguration: {
      const Result<Configuration> found = ParseConfiguration(data, channel_);
      if (!found) return Fail(found.error().code, found.error().message);
      where_ = *found;
      ready_ = true;
      step_ = Wants() ? Step::kPollReceive : Step::kPollSend;
      return;
    }
    case Step::kPollReceive: return OnReceiveStatus(kd::Load32(data, 0));
    case Step::kFill:
      filled_ += std::min(most_bytes_, outgoing_.front().size() + kReceivePacket - kReceiveLength - filled_);
      if (filled_ == outgoing_.front().size() + kReceivePacket - kReceiveLength) step_ = Step::kArm;
      return;
    case Step::kArm:
      armed_ = std::move(outgoing_.front());
      outgoing_.pop_front();
      eager_until_ = now + timing_.eager;
      filled_ = 0;
      step_ = std::exchange(bad_, false) ? Step::kClear : Step::kPollReceive;
      return;
    case Step::kPollSend:
      setbacks_ = 0;
      if (kd::Load32(data, 0) != kStatusPending) return Rest(now);
      step_ = Step::kHead;
      return;
    case Step::kHead: return OnHead(now, data);
    case Step::kPayload:
      Append(packet_, data.first(std::min(data.size(), announced_ + kd::kHeaderSize - packet_.size())));
      if (data.empty() || packet_.size() == announced_ + kd::kHeaderSize) OnPacket(now);
      return;
    case Step::kClear: Deliver(); return Rest(now);
    case Step::kUnknown: return;
  }
}

/// Nothing more to do at once.
void HostExchange::Rest(TimePoint now) {
  step_ = Wants() ? Step::kPollReceive : Step::kPollSend;
  due_ = now + (now < eager_until_ ? timing_.poll : timing_.idle);
}

// ---- host to target

void HostExchange::Write(TimePoint now, ByteView stream) {
  bool added = false;
  while (auto body = kd::NextBody(stream)) {
    const auto type = kd::DecodeHeader(*body).type;
    const bool control = body->size() == kd::kHeaderSize;
    if (control && type == kd::PacketType::kAcknowledge) continue;  // clearing Send was that
    if (control && type == kd::PacketType::kReset) body = Bytes{kd::kBreakInByte};
    if (body->size() <= kd::kHeaderSize + kMostPayload) added = Enqueue(std::move(*body)) || added;
  }
  if (!added) return;
  eager_until_ = now + timing_.eager;
  if (under_way_ || (step_ != Step::kPollSend && step_ != Step::kPollReceive)) return;
  step_ = Step::kPollReceive;
  due_ = now;
}

/// What waits already is not placed twice.
bool HostExchange::Enqueue(Bytes body) {
  if (armed_ == body || std::find(outgoing_.begin(), outgoing_.end(), body) != outgoing_.end()) return false;
  if (outgoing_.size() >= kMostOutgoing) return false;
  if (IsData(body) && body != newest_) copies_ = 0;
  outgoing_.push_back(std::move(body));
  return true;
}

void HostExchange::OnReceiveStatus(std::uint32_t status) {
  step_ = Step::kPollSend;
  if (std::exchange(perhaps_armed_, false) && !outgoing_.empty()) {
    // Free may mean taken already, or never written. A second copy could be taken for a second request; a
    // request that never arrived times out.
    armed_ = std::move(outgoing_.front());
    outgoing_.pop_front();
  }
  if (status != kStatusFree) return;
  if (armed_) OnTaken();
  if (!outgoing_.empty()) step_ = Step::kFill;
}

void HostExchange::OnTaken() {
  const Bytes taken = std::move(*armed_);
  armed_.reset();
  if (!IsData(taken)) return;
  newest_ = taken;
  Append(input_, kd::EncodeControlPacket(kd::PacketType::kAcknowledge, IdOf(taken)));
}

// ---- target to host

void HostExchange::OnHead(TimePoint now, ByteView head) {
  if (kd::Load32(head, 0) != kStatusPending) return Rest(now);
  const ByteView header = HeaderOf(head.subspan(std::min(head.size(), kSendHeader)));
  packet_.assign(header.begin(), header.end());
  announced_ = kd::Load32(head, kSendLength);
  const kd::PacketHeader fields = kd::DecodeHeader(packet_);
  const bool control = fields.leader == kd::kControlLeader && fields.byte_count == 0 && announced_ == 0;
  const bool data = fields.leader == kd::kDataLeader && announced_ == fields.byte_count && announced_ != 0 &&
                    announced_ <= kMostPayload;
  if (control) {
    OnGoodPacket();
  } else if (data) {
    step_ = Step::kPayload;
  } else {
    OnBadPacket(now);
  }
}

void HostExchange::OnPacket(TimePoint now) {
  const ByteView payload = ByteView(packet_).subspan(kd::kHeaderSize);
  if (payload.size() != announced_ || kd::Checksum(payload) != kd::DecodeHeader(packet_).checksum)
    return OnBadPacket(now);
  OnGoodPacket();
}

void HostExchange::OnGoodPacket() {
  if (std::exchange(bad_, false)) outgoing_.pop_front();  // the target was faster than our RESEND
  step_ = Step::kClear;
}

/// The target waits until its packet is cleared, and finds the wish for another copy then.
void HostExchange::OnBadPacket(TimePoint now) {
  packet_.clear();
  Bytes resend = kd::EncodeControlPacket(kd::PacketType::kResend, 0);
  if (armed_ == resend) {  // asked for already
    step_ = Step::kClear;
    return;
  }
  step_ = Step::kPollReceive;
  if (std::exchange(bad_, true)) {
    due_ = now + timing_.poll;  // the target has not taken what it received before
  } else {
    outgoing_.push_front(std::move(resend));
  }
}

/// What was read goes to the link machine, once.
void HostExchange::Deliver() {
  const Bytes packet = std::exchange(packet_, {});
  if (packet.empty()) return;
  if (!IsData(packet)) return DeliverControl(packet);
  // Ids of a target count up, so equal packets with equal ids are one.
  if (packet == last_) return;
  kd::PacketHeader header = kd::DecodeHeader(packet);
  const bool anew = header.id == (kd::kInitialPacketId | kd::kSyncBit) && !last_.empty();
  if (anew) next_id_ = kd::kInitialPacketId;
  header.id = anew ? next_id_ | kd::kSyncBit : next_id_;
  next_id_ ^= 1;
  newest_.clear();
  last_ = packet;
  Append(input_, kd::EncodeDataPacket(header.type, header.id, ByteView(packet).subspan(kd::kHeaderSize)));
}

void HostExchange::DeliverControl(const Bytes& header) {
  const auto type = kd::DecodeHeader(header).type;
  if (type == kd::PacketType::kReset) Append(input_, header);
  // The packet was taken, and so acknowledged, before the target saw that it is damaged.
  if (type == kd::PacketType::kResend && !newest_.empty() && ++copies_ <= kMostCopies) Enqueue(newest_);
}

}  // namespace longwire::firewire
