#include "proto/mux/session.h"

#include <algorithm>

namespace longwire::mux {
namespace {

constexpr std::uint32_t kDriverBytes = 8192;  // what drivers at both ends hold

/// How far `to` is behind `from`, for positions less than 2^31 apart.
std::int64_t Distance(std::uint32_t from, std::uint32_t to) { return static_cast<std::int32_t>(to - from); }

std::string ResetText(std::uint32_t reason, unsigned channel) {
  const std::string name = "channel " + std::to_string(channel);
  switch (static_cast<ResetReason>(reason)) {
    case ResetReason::kNoListener:
      return "No server listens on " + name + " at the other end of the line; check channel=.";
    case ResetReason::kBusy:
      return "The other end of the line has no room for another session on " + name + ".";
    case ResetReason::kVersion: return "The other end of the line speaks another version of the framing.";
    case ResetReason::kUnknownSession:
      return "The other end of the line has ended this session of " + name + ".";
  }
  return "The other end of the line has ended this session of " + name + ".";
}

}  // namespace

Timing TimingFor(std::uint32_t baud) {
  Timing timing;
  if (baud == 0) return timing;
  const milliseconds drain(std::uint64_t{kDriverBytes} * 10 * 1000 / baud);  // ten bits a byte
  timing.retry = milliseconds(300) + 2 * drain;
  timing.keep_alive += drain;
  timing.silence_limit += 8 * drain;
  return timing;
}

Session::Session(SessionKey key, Timing timing, Time now)
    : key_(key),
      timing_(timing),
      retry_at_(now + timing.retry),
      heard_at_(now),
      sent_at_(now),
      retry_(timing.retry) {
  open_ = !key.opened_here;
  want_open_ = key.opened_here;
  want_accept_ = !key.opened_here;
}

std::size_t Session::Write(std::span<const std::byte> data) {
  if (failure_ || shut_down_) return 0;
  const std::size_t count = std::min(data.size(), kWindow - unsent_.size());
  unsent_.insert(unsent_.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

std::size_t Session::Read(std::span<std::byte> out) {
  const std::size_t count = std::min(out.size(), received_.size());
  const auto stop = received_.begin() + static_cast<std::ptrdiff_t>(count);
  std::copy(received_.begin(), stop, out.begin());
  received_.erase(received_.begin(), stop);
  const auto grown = Distance(granted_, wanted_) + static_cast<std::int64_t>(kWindow - received_.size());
  if (grown >= static_cast<std::int64_t>(kWindow / 2)) want_ack_ = true;
  return count;
}

void Session::Abandon() {
  abandoned_ = shut_down_ = true;
  received_.clear();
  if (!open_) Fail(Errc::kCancelled, "The session was closed before it was open.");
}

bool Session::gone() const { return abandoned_ && (failure_ || end_acked_); }

Frame Session::Make(FrameType type) const {
  Frame frame;
  frame.type = type;
  frame.from_opener = key_.opened_here;
  frame.channel = key_.channel;
  frame.session = key_.session;
  return frame;
}

std::uint32_t Session::data_end() const { return acked_ + static_cast<std::uint32_t>(unsent_.size()); }

bool Session::ReadyToSend() const {
  if (!open_ || failure_ || end_acked_) return false;
  if (Distance(next_, data_end()) > 0) return Distance(next_, limit_) > 0;
  return shut_down_ && next_ == data_end();
}

bool Session::Blocked() const {
  return open_ && !failure_ && Distance(next_, data_end()) > 0 && Distance(next_, limit_) <= 0;
}

std::uint32_t Session::Grant() {
  granted_ = wanted_ + static_cast<std::uint32_t>(kWindow - received_.size());
  return granted_;
}

void Session::Fail(Errc code, std::string message) {
  if (!failure_) failure_ = Error{code, std::move(message)};
}

void Session::Take(const Frame& frame, Time now) {
  if (failure_) return;
  heard_at_ = now;
  switch (frame.type) {
    case FrameType::kOpen: want_accept_ = true; return TakeLimit(frame.limit);
    case FrameType::kAccept:
      open_ = true;
      want_open_ = false;
      return TakeAck(frame, now);
    case FrameType::kData: return TakeData(frame);
    case FrameType::kAck: return TakeAck(frame, now);
    case FrameType::kNak:
      TakeAck(frame, now);
      next_ = acked_;
      return;
    case FrameType::kReset:
      return Fail(open_ ? Errc::kIo : Errc::kUnreachable, ResetText(frame.position, key_.channel));
  }
}

void Session::TakeAck(const Frame& frame, Time now) {
  // Only what was really sent can be acknowledged, and only forward: a frame may be late.
  const std::int64_t count = Distance(acked_, frame.position);
  if (count < 0 || count > Distance(acked_, highest_)) return;
  TakeLimit(frame.limit);
  if (count == 0) return;
  stuck_since_.reset();
  if (count > static_cast<std::int64_t>(unsent_.size())) end_acked_ = true;
  const std::size_t bytes = std::min(static_cast<std::size_t>(count), unsent_.size());
  unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(bytes));
  acked_ = frame.position;
  if (Distance(next_, acked_) > 0) next_ = acked_;
  retry_ = timing_.retry;
  retry_at_ = now + retry_;
}

void Session::TakeLimit(std::uint32_t limit) {
  const std::int64_t ahead = Distance(acked_, limit);
  if (ahead <= static_cast<std::int64_t>(kMaxGrant) && Distance(limit_, limit) > 0) limit_ = limit;
}

void Session::TakeData(const Frame& frame) {
  want_ack_ = true;
  // The opener sends before it knows that its kOpen arrived only if the answer did: so it is open.
  open_ = true;
  const std::int64_t ahead = Distance(wanted_, frame.position);
  if (ahead > 0) {
    if (!gap_reported_) want_nak_ = true;
    gap_reported_ = true;
    return;
  }
  const std::size_t known = static_cast<std::size_t>(-ahead);
  if (peer_ended_ || known > frame.payload.size()) return;
  const std::span<const std::byte> fresh = std::span(frame.payload).subspan(known);
  // A peer that sends further than it was told loses it; it will be asked for it again.
  if (fresh.size() > kWindow - received_.size()) return;
  if (!abandoned_) received_.insert(received_.end(), fresh.begin(), fresh.end());
  wanted_ += static_cast<std::uint32_t>(fresh.size());
  if (!fresh.empty()) gap_reported_ = false;
  if ((frame.limit & 1) == 0) return;
  peer_ended_ = true;
  gap_reported_ = false;
  ++wanted_;
}

void Session::Tick(Time now) {
  if (failure_) return;
  if (now - heard_at_ >= timing_.silence_limit) {
    return Fail(Errc::kLinkFailed, "The other end of the line has been silent for " +
                                       std::to_string(timing_.silence_limit.count() / 1000) +
                                       " s; check the cable and the baud rate of both ends.");
  }
  if (abandoned_) {
    if (!stuck_since_) stuck_since_ = now;
    if (now - *stuck_since_ >= timing_.silence_limit) return Fail(Errc::kTimedOut, "The peer does not read.");
  }
  const bool waits = !open_ || highest_ != acked_ || Blocked();
  if (waits && now >= retry_at_) {
    if (!open_) want_open_ = key_.opened_here;
    next_ = acked_;
    want_probe_ = want_probe_ || Blocked();
    retry_ = std::min(2 * retry_, 8 * timing_.retry);
    retry_at_ = now + retry_;
  }
  if (open_ && now - std::max(sent_at_, heard_at_) >= timing_.keep_alive) want_probe_ = true;
}

Time Session::wake() const {
  if (failure_) return Time::max();
  Time at = heard_at_ + timing_.silence_limit;
  if (!open_ || highest_ != acked_ || Blocked()) at = std::min(at, retry_at_);
  if (open_ && !want_probe_) at = std::min(at, std::max(sent_at_, heard_at_) + timing_.keep_alive);
  return at;
}

std::optional<Frame> Session::NextControl(Time now) {
  if (failure_) return std::nullopt;
  Frame frame;
  if (want_open_) {
    want_open_ = false;
    frame = Make(FrameType::kOpen);
    frame.position = kMuxVersion;
    frame.limit = Grant();
  } else if (want_accept_ || want_nak_ || want_ack_) {
    frame = Make(want_accept_ ? FrameType::kAccept : want_nak_ ? FrameType::kNak : FrameType::kAck);
    if (!want_accept_) want_nak_ = false;
    want_accept_ = want_ack_ = false;
    frame.position = wanted_;
    frame.limit = Grant();
  } else {
    return std::nullopt;
  }
  sent_at_ = now;
  return frame;
}

std::optional<Frame> Session::NextData(Time now) {
  if (!want_probe_ && !ReadyToSend()) return std::nullopt;
  if (failure_ || !open_) return std::nullopt;
  Frame frame = Make(FrameType::kData);
  frame.position = next_;
  if (ReadyToSend()) {
    const std::int64_t room =
        std::max<std::int64_t>(std::min(Distance(next_, data_end()), Distance(next_, limit_)), 0);
    const std::size_t count = std::min(static_cast<std::size_t>(room), kMaxPayload);
    const auto from = unsent_.begin() + Distance(acked_, next_);
    frame.payload.assign(from, from + static_cast<std::ptrdiff_t>(count));
    if (highest_ == acked_) retry_at_ = now + retry_;
    next_ += static_cast<std::uint32_t>(count);
    if (shut_down_ && next_ == data_end()) {
      frame.limit = 1;
      ++next_;
    }
    if (Distance(highest_, next_) > 0) highest_ = next_;
  }
  want_probe_ = false;
  sent_at_ = now;
  return frame;
}

}  // namespace longwire::mux
