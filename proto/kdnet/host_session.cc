#include "proto/kdnet/host_session.h"

#include <algorithm>
#include <utility>

#include "proto/kd/packet.h"
#include "proto/kdnet/frames.h"

namespace longwire::kdnet {

HostSession::Received HostSession::Receive(ByteView datagram, const Block& nonce) {
  const auto channel = ChannelOf(datagram);
  if (!channel) return {};
  if (*channel == Channel::kData) return OnData(datagram);
  const auto control = Open(datagram, key_.mac, key_.control, Direction::kToHost);
  if (!control) return {};
  return OnControl(*control, nonce);
}

HostSession::Received HostSession::OnControl(const Datagram& datagram, const Block& nonce) {
  Received received;
  received.ours = true;
  const auto offer = DecodeOffer(datagram.body);
  if (!offer) return received;
  // Answering rekeys: not a session that works, nor for a late copy of the offer that began it. After an
  // answer that may have gone lost the target can believe in a session we do not know; its next offers are
  // taken until it speaks under the old key.
  const bool begun = live_ && live_->target_nonce == offer->nonce;
  const bool wanted = !live_ || (!begun && (offer->current_host.port == 0 || awaiting_));
  if (!wanted) return received;
  version_ = datagram.version;
  awaiting_ = true;
  const DataChannel& channel = PendingFor(offer->nonce, nonce);
  received.answer =
      Seal({version_, Channel::kControl, Direction::kToTarget, datagram.sequence, channel.response}, key_.mac,
           key_.control);
  return received;
}

HostSession::DataChannel& HostSession::PendingFor(const Block& target_nonce, const Block& nonce) {
  const auto known = std::find_if(pending_.begin(), pending_.end(), [&](const DataChannel& channel) {
    return channel.target_nonce == target_nonce;
  });
  if (known != pending_.end()) return *known;
  if (pending_.size() >= kMostPending) pending_.pop_front();
  Bytes response = EncodeResponse(target_nonce, nonce);
  const Block key = DataKey(key_.control, response);
  pending_.push_back({key, target_nonce, std::move(response)});
  return pending_.back();
}

HostSession::Received HostSession::OnData(ByteView bytes) {
  if (live_) {
    if (auto datagram = Open(bytes, key_.mac, live_->key, Direction::kToHost))
      return Deliver(std::move(*datagram), false);
  }
  for (DataChannel& channel : pending_) {
    auto datagram = Open(bytes, key_.mac, channel.key, Direction::kToHost);
    if (!datagram) continue;
    live_ = std::move(channel);
    pending_.clear();
    return Deliver(std::move(*datagram), true);
  }
  return {};
}

HostSession::Received HostSession::Deliver(Datagram datagram, bool started) {
  Received received;
  received.ours = true;
  if (datagram.sequence <= live_->received) return received;
  live_->received = datagram.sequence;
  awaiting_ = false;
  version_ = datagram.version;
  received.current = true;
  received.started = started;
  if (IsGreeting(datagram.body)) {
    received.answer = Send(kd::EncodeControlPacket(kd::PacketType::kResend, 0));
  } else {
    received.body = std::move(datagram.body);
  }
  return received;
}

Bytes HostSession::Send(Bytes body) {
  return Seal({version_, Channel::kData, Direction::kToTarget, ++live_->sent, std::move(body)}, key_.mac,
              live_->key);
}

Bytes HostSession::Poke(std::uint8_t version) {
  return Seal({version_ != 0 ? version_ : version, Channel::kControl, Direction::kToTarget, ++pokes_, {}},
              key_.mac, key_.control);
}

}  // namespace longwire::kdnet
