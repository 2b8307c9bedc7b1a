#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace longwire {

/// Reads little-endian values from bytes nobody vouches for. Past the end every read gives 0 and ok() becomes
/// false for good, so a record can be read whole and checked once.
class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  std::uint8_t U8() { return static_cast<std::uint8_t>(Load(1)); }
  std::uint16_t U16() { return static_cast<std::uint16_t>(Load(2)); }
  std::uint32_t U32() { return static_cast<std::uint32_t>(Load(4)); }
  std::int32_t I32() { return static_cast<std::int32_t>(Load(4)); }
  std::uint64_t U64() { return Load(8); }
  std::uint8_t Peek() const { return position_ < bytes_.size() ? bytes_[position_] : 0; }
  void Skip(std::size_t count) { Take(count); }

  std::span<const std::uint8_t> Take(std::size_t count) {
    if (count > remaining()) {
      ok_ = false;
      position_ = bytes_.size();
      return {};
    }
    auto taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  /// Up to the next NUL, which is consumed; not ok() without one.
  std::string_view CString() {
    for (std::size_t end = position_; end < bytes_.size(); ++end) {
      if (bytes_[end] != 0) continue;
      std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + position_, end - position_);
      position_ = end + 1;
      return text;
    }
    ok_ = false;
    position_ = bytes_.size();
    return {};
  }
  void Fail() { ok_ = false; }

 private:
  std::uint64_t Load(std::size_t size) {
    auto bytes = Take(size);
    std::uint64_t value = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | bytes[i];
    return value;
  }

  std::span<const std::uint8_t> bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace longwire
