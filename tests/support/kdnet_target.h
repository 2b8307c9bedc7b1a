#pragma once

#include <cstdint>
#include <optional>

#include "proto/kdnet/datagram.h"
#include "proto/kdnet/handshake.h"

namespace longwire::test {

/// The target's end of KDNET as a value: offers go out, datagrams of a host come in. Accepts the answer to
/// its last offer only, as Windows does.
class KdnetTarget {
 public:
  KdnetTarget(const kdnet::Key& key, std::uint8_t version) : key_(key), version_(version) {
    for (std::size_t i = 0; i < nonce_.size(); ++i) nonce_[i] = static_cast<std::byte>(0x20 + i);
    nonce_[0] = std::byte{0x1F};
  }

  /// The next offer; `current_port` is the host's port of the session, 0 without one.
  kd::Bytes Offer(std::uint16_t current_port = 0) {
    kd::Store(std::span<std::byte>(nonce_), 0, kd::Load32(nonce_, 0) + 1);
    kdnet::Offer offer{nonce_, {Mapped(192, 168, 0, 13), 50000}, {Mapped(192, 168, 0, 11), 50000}, {}};
    if (current_port != 0) offer.current_host = {Mapped(192, 168, 0, 11), current_port};
    uptime_ += 3;
    return kdnet::Seal(
        {version_, kdnet::Channel::kControl, kdnet::Direction::kToHost, uptime_, kdnet::EncodeOffer(offer)},
        key_.mac, key_.control);
  }

  /// What a datagram of the host held.
  struct Heard {
    bool began = false;  ///< the answer to the last offer: a session begins
    bool poked = false;
    std::optional<kd::Bytes> body;  ///< of the data channel
  };
  Heard Receive(kd::ByteView bytes) {
    Heard heard;
    if (kdnet::ChannelOf(bytes) == kdnet::Channel::kData) {
      if (!data_key_) return heard;
      auto data = kdnet::Open(bytes, key_.mac, *data_key_, kdnet::Direction::kToTarget);
      if (!data || data->sequence <= received_) return heard;
      received_ = data->sequence;
      heard.body = std::move(data->body);
      return heard;
    }
    const auto control = kdnet::Open(bytes, key_.mac, key_.control, kdnet::Direction::kToTarget);
    if (!control) return heard;
    heard.poked = control->body.empty();
    if (!kdnet::AnswersOffer(control->body, nonce_)) return heard;
    data_key_ = kdnet::DataKey(key_.control, control->body);
    received_ = sent_ = 0;
    heard.began = true;
    return heard;
  }

  kd::Bytes Send(kd::ByteView body) { return SendAs(++sent_, body); }
  kd::Bytes SendAs(std::uint64_t sequence, kd::ByteView body) {
    return kdnet::Seal({version_, kdnet::Channel::kData, kdnet::Direction::kToHost, sequence,
                        kd::Bytes(body.begin(), body.end())},
                       key_.mac, *data_key_);
  }
  /// The first datagram of a session: the host's address, 127.0.0.1 here, in reversed order.
  kd::Bytes Greeting() {
    kd::Bytes body(12);
    body[8] = std::byte{1};
    body[11] = std::byte{127};
    return Send(body);
  }

  bool live() const { return data_key_.has_value(); }
  void Reboot() { data_key_.reset(); }
  const std::optional<kdnet::Block>& data_key() const { return data_key_; }

 private:
  static kdnet::Address Mapped(int a, int b, int c, int d) {
    kdnet::Address address{};
    address[10] = address[11] = std::byte{0xFF};
    const int parts[] = {a, b, c, d};
    for (std::size_t i = 0; i < 4; ++i) address[12 + i] = static_cast<std::byte>(parts[i]);
    return address;
  }

  kdnet::Key key_;
  std::uint8_t version_;
  kdnet::Block nonce_{};
  std::uint64_t uptime_ = 0, sent_ = 0, received_ = 0;
  std::optional<kdnet::Block> data_key_;
};

}  // namespace longwire::test
