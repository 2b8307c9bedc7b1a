#include "proto/gdb/packet.h"

#include "proto/gdb/hex.h"

namespace longwire::gdb {
namespace {

constexpr char kEscape = '}';
constexpr char kRun = '*';
/// A run of n more copies is written as the character n + 29.
constexpr int kRunBias = 29;

std::string Enclose(char start, std::string_view payload) {
  std::string text(1, start);
  text.reserve(payload.size() + 4);
  for (const char c : payload) {
    if (c == '#' || c == '$' || c == kEscape || c == kRun) {
      text += kEscape;
      text += static_cast<char>(c ^ 0x20);
    } else {
      text += c;
    }
  }
  std::uint8_t sum = 0;
  for (const char c : std::string_view(text).substr(1)) sum = static_cast<std::uint8_t>(sum + c);
  text += '#';
  const std::byte byte{sum};
  return text + EncodeHex({&byte, 1});
}

/// Runs first, escapes then: a run repeats the raw byte before it. nullopt: impossible, or longer than
/// `limit`.
std::optional<std::string> Expand(std::string_view raw, std::size_t limit) {
  std::string expanded;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != kRun) {
      expanded += raw[i];
    } else {
      if (++i == raw.size() || expanded.empty()) return std::nullopt;
      const int count = static_cast<unsigned char>(raw[i]) - kRunBias;
      if (count < 1) return std::nullopt;
      expanded.append(static_cast<std::size_t>(count), expanded.back());
    }
    if (expanded.size() > limit) return std::nullopt;
  }
  std::string payload;
  payload.reserve(expanded.size());
  for (std::size_t i = 0; i < expanded.size(); ++i) {
    if (expanded[i] != kEscape) {
      payload += expanded[i];
    } else if (++i < expanded.size()) {
      payload += static_cast<char>(expanded[i] ^ 0x20);
    } else {
      return std::nullopt;
    }
  }
  return payload;
}

}  // namespace

std::string EncodePacket(std::string_view payload) { return Enclose('$', payload); }
std::string EncodeNotification(std::string_view payload) { return Enclose('%', payload); }

void Framer::Reset() { state_ = State::kIdle; }

void Framer::FeedIdle(char c, std::deque<Frame>& out) {
  switch (c) {
    case '$':
    case '%':
      kind_ = c == '$' ? Frame::Kind::kPacket : Frame::Kind::kNotification;
      state_ = State::kPayload;
      raw_.clear();
      sum_ = 0;
      overlong_ = false;
      break;
    case '+': out.push_back({Frame::Kind::kAck, {}}); break;
    case '-': out.push_back({Frame::Kind::kNak, {}}); break;
    case '\x03': out.push_back({Frame::Kind::kInterrupt, {}}); break;
    default: break;
  }
}

void Framer::Feed(std::span<const std::byte> bytes, std::deque<Frame>& out) {
  for (const std::byte byte : bytes) {
    const char c = std::to_integer<char>(byte);
    switch (state_) {
      case State::kIdle: FeedIdle(c, out); break;
      case State::kPayload:
        if (c == '#') {
          state_ = State::kSumHigh;
        } else if (c == '$') {
          // It is always escaped inside: the frame before it lost its end.
          if (kind_ == Frame::Kind::kPacket) out.push_back({Frame::Kind::kBroken, {}});
          FeedIdle(c, out);
        } else {
          sum_ = static_cast<std::uint8_t>(sum_ + std::to_integer<std::uint8_t>(byte));
          // Escapes at most double a payload.
          overlong_ |= raw_.size() >= 2 * max_payload_;
          if (!overlong_) raw_ += c;
        }
        break;
      case State::kSumHigh:
        sum_high_ = c;
        state_ = State::kSumLow;
        break;
      case State::kSumLow: {
        state_ = State::kIdle;
        const char digits[] = {sum_high_, c};
        const auto sum = DecodeHex({digits, 2});
        Frame frame = Finish();
        if (!sum || std::to_integer<std::uint8_t>(sum->front()) != sum_) frame = {Frame::Kind::kBroken, {}};
        // Nobody sends a notification again.
        if (frame.kind != Frame::Kind::kBroken || kind_ == Frame::Kind::kPacket)
          out.push_back(std::move(frame));
        break;
      }
    }
  }
}

Frame Framer::Finish() {
  if (overlong_) return {Frame::Kind::kBroken, {}};
  std::optional<std::string> payload = Expand(raw_, max_payload_);
  if (!payload) return {Frame::Kind::kBroken, {}};
  return {kind_, std::move(*payload)};
}

}  // namespace longwire::gdb
