#include "proto/mux/line_mux.h"

#include <algorithm>

namespace longwire::mux {

void LineMux::Feed(std::span<const std::byte> bytes, Time now) {
  reader_.Feed(bytes, [&](const Frame& frame) { Take(frame, now); });
  DropGone();
}

void LineMux::Take(const Frame& frame, Time now) {
  const SessionKey key{frame.channel, frame.session, !frame.from_opener};
  if (Session* session = Find(key)) return session->Take(frame, now);
  if (frame.type == FrameType::kReset) return;
  if (frame.type == FrameType::kOpen && frame.from_opener) return TakeOpen(frame, key, now);
  Refuse(frame, ResetReason::kUnknownSession);
}

void LineMux::TakeOpen(const Frame& frame, const SessionKey& key, Time now) {
  if (frame.position != kMuxVersion) return Refuse(frame, ResetReason::kVersion);
  if (!listening_.contains(frame.channel)) return Refuse(frame, ResetReason::kNoListener);
  if (sessions_.size() >= kMaxSessions || incoming_.size() >= kMaxIncoming) {
    return Refuse(frame, ResetReason::kBusy);
  }
  sessions_.emplace(key, Session(key, timing_, now)).first->second.Take(frame, now);
  incoming_.push_back(key);
}

void LineMux::Refuse(const Frame& frame, ResetReason reason) {
  if (resets_.size() >= kMaxResets) return;
  Frame reset;
  reset.type = FrameType::kReset;
  reset.from_opener = !frame.from_opener;
  reset.channel = frame.channel;
  reset.session = frame.session;
  reset.position = static_cast<std::uint32_t>(reason);
  resets_.push_back(std::move(reset));
}

std::vector<std::byte> LineMux::NextBytes(Time now) {
  if (!resets_.empty()) {
    const auto bytes = EncodeFrame(resets_.front());
    resets_.pop_front();
    return bytes;
  }
  // From the session after the last one that sent, around to that one.
  const auto turn = [&](auto next) -> std::vector<std::byte> {
    auto at = sessions_.upper_bound(last_);
    for (std::size_t left = sessions_.size(); left > 0; --left, ++at) {
      if (at == sessions_.end()) at = sessions_.begin();
      const auto frame = next(at->second);
      if (!frame) continue;
      if (frame->type == FrameType::kData) last_ = at->first;
      return EncodeFrame(*frame);
    }
    return {};
  };
  auto bytes = turn([now](Session& session) { return session.NextControl(now); });
  if (bytes.empty()) bytes = turn([now](Session& session) { return session.NextData(now); });
  return bytes;
}

void LineMux::Tick(Time now) {
  for (auto& [key, session] : sessions_) session.Tick(now);
  DropGone();
}

Time LineMux::wake() const {
  Time at = Time::max();
  for (const auto& [key, session] : sessions_) at = std::min(at, session.wake());
  return at;
}

void LineMux::StopListening(std::uint8_t channel) {
  listening_.erase(channel);
  while (const auto key = TakeIncoming(channel)) {
    if (Session* session = Find(*key)) session->Abandon();
  }
}

std::optional<SessionKey> LineMux::TakeIncoming(std::uint8_t channel) {
  const auto found = std::find_if(incoming_.begin(), incoming_.end(),
                                  [channel](const SessionKey& key) { return key.channel == channel; });
  if (found == incoming_.end()) return std::nullopt;
  const SessionKey key = *found;
  incoming_.erase(found);
  return key;
}

Result<SessionKey> LineMux::Open(std::uint8_t channel, std::uint32_t session, Time now) {
  const SessionKey key{channel, session, true};
  if (sessions_.size() >= kMaxSessions || sessions_.contains(key)) {
    return Error{Errc::kLimitExceeded, "This end of the line has too many sessions; end one first."};
  }
  sessions_.emplace(key, Session(key, timing_, now));
  return key;
}

Session* LineMux::Find(const SessionKey& key) {
  const auto found = sessions_.find(key);
  return found == sessions_.end() ? nullptr : &found->second;
}

void LineMux::DropGone() {
  std::erase_if(sessions_, [](const auto& entry) { return entry.second.gone(); });
}

}  // namespace longwire::mux
