#pragma once

#include <algorithm>
#include <memory>
#include <string_view>

#include "proto/dump/kernel_dump.h"

namespace longwire::dump::test {

class MemoryFile final : public DumpFile {
 public:
  explicit MemoryFile(kd::Bytes bytes) : bytes_(std::move(bytes)) {}
  std::uint64_t size() const override { return bytes_.size(); }
  std::size_t Read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset >= bytes_.size()) return 0;
    const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  }

 private:
  kd::Bytes bytes_;
};

/// Bytes of a dump, written field by field at file offsets; the file grows as needed.
class DumpBuilder {
 public:
  /// A header as the writer leaves it: `PAGE` wherever nothing is set.
  explicit DumpBuilder(std::uint32_t type, std::uint32_t machine = 0x8664) {
    for (std::size_t at = 0; at < kHeader64Size; at += 4) Put32(at, 0x45474150);
    Text(0, "PAGEDU64");
    Put32(0xC, 19041);
    Put32(0x30, machine);
    Put32(0x34, 2);
    Put32(0xF98, type);
    Put32(0x1048, 0);
  }

  /// A header of a 32-bit dump.
  static DumpBuilder Narrow(std::uint32_t type) {
    DumpBuilder builder(type);
    builder.bytes.clear();
    for (std::size_t at = 0; at < kHeader32Size; at += 4) builder.Put32(at, 0x45474150);
    builder.Text(0, "PAGEDUMP").Put32(0xC, 2600).Put32(0x20, 0x14C).Put32(0x24, 1).Put32(0xF88, type);
    builder.Put32(0xF9C, 0).Put32(0x5C, 0);
    return builder;
  }

  DumpBuilder& Put16(std::size_t at, std::uint16_t value) {
    Grow(at + 2);
    kd::Store(std::span(bytes), at, value);
    return *this;
  }
  DumpBuilder& Put32(std::size_t at, std::uint32_t value) {
    Grow(at + 4);
    kd::Store(std::span(bytes), at, value);
    return *this;
  }
  DumpBuilder& Put64(std::size_t at, std::uint64_t value) {
    Grow(at + 8);
    kd::Store(std::span(bytes), at, value);
    return *this;
  }
  DumpBuilder& Text(std::size_t at, std::string_view text) {
    Grow(at + text.size());
    for (std::size_t i = 0; i < text.size(); ++i) bytes[at + i] = static_cast<std::byte>(text[i]);
    return *this;
  }
  DumpBuilder& Fill(std::size_t at, std::size_t size, std::uint8_t value) {
    Grow(at + size);
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, std::byte{value});
    return *this;
  }
  Result<KernelDump> Open() const { return KernelDump::Open(std::make_unique<MemoryFile>(bytes)); }

  kd::Bytes bytes;

 private:
  void Grow(std::size_t size) {
    if (bytes.size() < size) bytes.resize(size);
  }
};

/// The byte at a physical address, or -1.
inline int PhysicalByte(const KernelDump& dump, std::uint64_t address) {
  std::byte byte{};
  return dump.ReadPhysical(address, std::span(&byte, 1)) == 1 ? std::to_integer<int>(byte) : -1;
}
inline int VirtualByte(const KernelDump& dump, std::uint64_t address) {
  std::byte byte{};
  return dump.ReadVirtual(address, std::span(&byte, 1)) == 1 ? std::to_integer<int>(byte) : -1;
}

}  // namespace longwire::dump::test
