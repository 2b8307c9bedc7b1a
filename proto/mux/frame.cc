#include "proto/mux/frame.h"

#include <array>
#include <optional>

namespace longwire::mux {
namespace {

constexpr std::size_t kHeaderBytes = 14, kCrcBytes = 4;
constexpr std::size_t kMaxPlain = kHeaderBytes + kMaxPayload + kCrcBytes;
constexpr std::size_t kMaxEncoded = kMaxPlain + kMaxPlain / 254 + 1;
constexpr std::uint8_t kFromOpener = 0x80;

constexpr std::array<std::uint32_t, 256> MakeCrcTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = MakeCrcTable();

std::uint32_t Crc32(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::byte byte : bytes) {
    crc = (crc >> 8) ^ kCrcTable[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF];
  }
  return ~crc;
}

void Put32(std::vector<std::byte>& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::byte>(value >> shift));
}

std::uint32_t Get32(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

/// Consistent overhead byte stuffing (Cheshire and Baker, 1997): no zero byte is left.
void AppendCobs(std::vector<std::byte>& out, std::span<const std::byte> plain) {
  std::size_t code_at = out.size();
  out.push_back(std::byte{1});
  const auto count = [&] { return out.size() - code_at; };
  for (const std::byte byte : plain) {
    if (byte != std::byte{0}) out.push_back(byte);
    if (byte != std::byte{0} && count() < 0xFF) continue;
    out[code_at] = static_cast<std::byte>(count());
    code_at = out.size();
    out.push_back(std::byte{1});
  }
  out[code_at] = static_cast<std::byte>(count());
}

std::optional<std::vector<std::byte>> DecodeCobs(std::span<const std::byte> encoded) {
  std::vector<std::byte> plain;
  std::size_t at = 0;
  while (at < encoded.size()) {
    const std::size_t code = std::to_integer<std::size_t>(encoded[at]);
    if (code == 0 || code > encoded.size() - at) return std::nullopt;
    plain.insert(plain.end(), encoded.begin() + static_cast<std::ptrdiff_t>(at + 1),
                 encoded.begin() + static_cast<std::ptrdiff_t>(at + code));
    at += code;
    if (code < 0xFF && at < encoded.size()) plain.push_back(std::byte{0});
  }
  return plain;
}

std::optional<Frame> Decode(std::span<const std::byte> encoded) {
  const auto plain = DecodeCobs(encoded);
  if (!plain || plain->size() < kHeaderBytes + kCrcBytes || plain->size() > kMaxPlain) return std::nullopt;
  const std::span<const std::byte> bytes(*plain);
  const std::size_t end = bytes.size() - kCrcBytes;
  if (Crc32(bytes.first(end)) != Get32(bytes, end)) return std::nullopt;
  const auto type = std::to_integer<std::uint8_t>(bytes[0]);
  Frame frame;
  frame.type = static_cast<FrameType>(type & ~kFromOpener);
  frame.from_opener = (type & kFromOpener) != 0;
  if (frame.type < FrameType::kOpen || frame.type > FrameType::kReset) return std::nullopt;
  frame.channel = std::to_integer<std::uint8_t>(bytes[1]);
  frame.session = Get32(bytes, 2);
  frame.position = Get32(bytes, 6);
  frame.limit = Get32(bytes, 10);
  frame.payload.assign(bytes.begin() + kHeaderBytes, bytes.begin() + static_cast<std::ptrdiff_t>(end));
  if (frame.type != FrameType::kData && !frame.payload.empty()) return std::nullopt;
  return frame;
}

}  // namespace

std::vector<std::byte> EncodeFrame(const Frame& frame) {
  std::vector<std::byte> plain;
  plain.reserve(kMaxPlain);
  plain.push_back(
      static_cast<std::byte>(static_cast<std::uint8_t>(frame.type) | (frame.from_opener ? kFromOpener : 0)));
  plain.push_back(static_cast<std::byte>(frame.channel));
  Put32(plain, frame.session);
  Put32(plain, frame.position);
  Put32(plain, frame.limit);
  plain.insert(plain.end(), frame.payload.begin(), frame.payload.end());
  Put32(plain, Crc32(plain));
  // The leading zero ends whatever noise stands on the line, so that only the noise is lost.
  std::vector<std::byte> out{std::byte{0}};
  AppendCobs(out, plain);
  out.push_back(std::byte{0});
  return out;
}

void FrameReader::Feed(std::span<const std::byte> bytes, const std::function<void(const Frame&)>& take) {
  for (const std::byte byte : bytes) {
    if (byte == std::byte{0}) {
      End(take);
    } else if (encoded_.size() == kMaxEncoded) {
      skipping_ = true;
    } else {
      encoded_.push_back(byte);
    }
  }
}

void FrameReader::End(const std::function<void(const Frame&)>& take) {
  if (encoded_.empty()) return;
  const auto frame = skipping_ ? std::nullopt : Decode(encoded_);
  encoded_.clear();
  skipping_ = false;
  if (frame) {
    take(*frame);
  } else {
    ++damaged_;
  }
}

}  // namespace longwire::mux
