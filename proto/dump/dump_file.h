#pragma once

#include <cstdint>
#include <span>

#include "proto/kd/bytes.h"

namespace longwire::dump {

/// Random access to the bytes of a dump file. May be read while it is being written or cut: every read says
/// how much was there.
class DumpFile {
 public:
  virtual ~DumpFile() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills a prefix of `out` and returns its length; fewer bytes at the end of the file or at a read error.
  virtual std::size_t Read(std::uint64_t offset, std::span<std::byte> out) const = 0;

  /// `size` bytes from `offset`, or fewer. The caller has bounded `size`.
  kd::Bytes ReadBytes(std::uint64_t offset, std::size_t size) const {
    kd::Bytes bytes(size);
    bytes.resize(Read(offset, bytes));
    return bytes;
  }
  /// True when [offset, offset + length) lies inside the file.
  bool Holds(std::uint64_t offset, std::uint64_t length) const {
    return offset <= size() && length <= size() - offset;
  }
};

}  // namespace longwire::dump
