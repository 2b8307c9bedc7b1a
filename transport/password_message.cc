#include "transport/password_message.h"

#include <algorithm>
#include <array>

namespace longwire {
namespace {

enum class Kind : std::uint8_t { kShare = 1, kConfirm = 2, kHold = 3, kRefused = 4 };
constexpr std::string_view kLater("\0\1", 2);

Error Bad() {
  return {Errc::kMalformed,
          "The password exchange got bytes that do not belong to it; is the other side longwire?"};
}

std::vector<std::byte> Pack(Kind kind, std::span<const std::byte> body) {
  std::vector<std::byte> bytes = {static_cast<std::byte>(kind), static_cast<std::byte>(body.size()),
                                  static_cast<std::byte>(body.size() >> 8)};
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

std::vector<std::byte> Encode(const PasswordShare& message) { return Pack(Kind::kShare, message.point); }
std::vector<std::byte> Encode(const PasswordConfirm& message) { return Pack(Kind::kConfirm, message.tag); }
std::vector<std::byte> Encode(const PasswordHold& message) {
  const auto time = static_cast<std::uint32_t>(message.time.count());
  std::array<std::byte, 4> body;
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<std::byte>(time >> (8 * i));
  return Pack(Kind::kHold, body);
}
std::vector<std::byte> Encode(const PasswordRefused& message) {
  std::string body = message.text.substr(0, kMaxPasswordBodyBytes - (message.later ? kLater.size() : 0));
  if (message.later) body += kLater;
  return Pack(Kind::kRefused, std::as_bytes(std::span(body)));
}

template <std::size_t kSize>
bool Copy(std::span<const std::byte> body, std::array<std::byte, kSize>& to) {
  if (body.size() != kSize) return false;
  std::copy(body.begin(), body.end(), to.begin());
  return true;
}

Result<PasswordMessage> Decode(Kind kind, std::span<const std::byte> body) {
  switch (kind) {
    case Kind::kShare: {
      PasswordShare share;
      if (!Copy(body, share.point)) return Bad();
      return PasswordMessage(share);
    }
    case Kind::kConfirm: {
      PasswordConfirm confirm;
      if (!Copy(body, confirm.tag)) return Bad();
      return PasswordMessage(confirm);
    }
    case Kind::kHold: {
      std::array<std::byte, 4> time{};
      if (!Copy(body, time)) return Bad();
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < time.size(); ++i)
        value |= std::to_integer<std::uint32_t>(time[i]) << (8 * i);
      if (std::chrono::milliseconds(value) > kMaxPasswordHold) return Bad();
      return PasswordMessage(PasswordHold{std::chrono::milliseconds(value)});
    }
    case Kind::kRefused: {
      PasswordRefused refused{{reinterpret_cast<const char*>(body.data()), body.size()}};
      refused.later = refused.text.ends_with(kLater);
      if (refused.later) refused.text.resize(refused.text.size() - kLater.size());
      return PasswordMessage(std::move(refused));
    }
  }
  return Bad();
}

}  // namespace

std::vector<std::byte> EncodePasswordMessage(const PasswordMessage& message) {
  return std::visit([](const auto& known) { return Encode(known); }, message);
}

Result<std::optional<DecodedPasswordMessage>> DecodePasswordMessage(std::span<const std::byte> bytes) {
  using Decoded = std::optional<DecodedPasswordMessage>;
  if (bytes.size() < kPasswordHeaderBytes) return Decoded();
  const std::size_t size = std::to_integer<std::size_t>(bytes[1]) | std::to_integer<std::size_t>(bytes[2])
                                                                        << 8;
  if (size > kMaxPasswordBodyBytes) return Bad();
  if (bytes.size() < kPasswordHeaderBytes + size) return Decoded();
  auto message = Decode(static_cast<Kind>(bytes[0]), bytes.subspan(kPasswordHeaderBytes, size));
  if (!message) return message.error();
  return Decoded(DecodedPasswordMessage{std::move(*message), kPasswordHeaderBytes + size});
}

}  // namespace longwire
