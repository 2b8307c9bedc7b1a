#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "client/engine/session.h"
#include "proto/address_space.h"
#include "proto/error.h"

namespace longwire {

/// A range of target memory as it was read, with holes where it cannot be read. Owns its bytes.
class MemoryView {
 public:
  MemoryView() = default;
  MemoryView(std::uint64_t address, std::size_t size)
      : address_(address), bytes_(size), known_(size, false) {}

  /// Bytes that are all there.
  MemoryView(std::uint64_t address, std::vector<std::byte> bytes)
      : address_(address), bytes_(std::move(bytes)), known_(bytes_.size(), true) {}

  std::uint64_t address() const { return address_; }
  std::size_t size() const { return bytes_.size(); }
  bool Known(std::size_t offset, std::size_t size) const;
  /// Little-endian value of 1..8 bytes; nullopt if one of them is missing or outside.
  std::optional<std::uint64_t> Unsigned(std::size_t offset, unsigned size) const;
  const std::vector<std::byte>& bytes() const { return bytes_; }
  /// Makes bytes known; those beyond the end are left out.
  void Fill(std::size_t offset, std::span<const std::byte> bytes);
  /// Whether any byte could be read.
  bool AnyKnown() const;

 private:
  friend Result<MemoryView> ReadView(Session&, AddressSpace, std::uint64_t, std::size_t);
  std::uint64_t address_ = 0;
  std::vector<std::byte> bytes_;
  std::vector<bool> known_;
};

/// What one call may read.
inline constexpr std::size_t kMaxViewBytes = 4u << 20;

/// Reads a range in one round trip, around what is unreadable; code that a small dump leaves out comes from
/// image files (Session::Read). Errors other than kUnreadable end it; a range
/// that leaves the address space is cut. kLimitExceeded above kMaxViewBytes, kCancelled.
Result<MemoryView> ReadView(Session& session, AddressSpace space, std::uint64_t address, std::size_t size);
inline Result<MemoryView> ReadView(Session& session, std::uint64_t address, std::size_t size) {
  return ReadView(session, session.address_space(), address, size);
}

/// The error of a command that Ctrl-C ended.
Error Cancelled();

}  // namespace longwire
