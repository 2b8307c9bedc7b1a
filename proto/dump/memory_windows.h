#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proto/dump/dump_file.h"

namespace longwire::dump {

/// Stretches of virtual memory that a dump holds somewhere in its file. They may overlap, as those of damaged
/// or careless files do: what was added first is what is read.
class MemoryWindows {
 public:
  /// False when the window lies outside of the file, or wraps around; one that the file's end cuts is kept as
  /// far as it goes.
  bool Add(const DumpFile& file, std::uint64_t address, std::uint64_t offset, std::uint64_t size);
  /// Makes what was added so far readable.
  void Seal();
  /// Reads the readable prefix of [address, address + out.size()), as of the last Seal().
  std::size_t Read(const DumpFile& file, std::uint64_t address, std::span<std::byte> out) const;

 private:
  struct Window {
    std::uint64_t address = 0, offset = 0, size = 0;
  };
  std::vector<Window> added_;
  std::vector<Window> pieces_;  ///< by address, disjoint
};

}  // namespace longwire::dump
