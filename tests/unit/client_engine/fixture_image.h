#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace longwire {

/// A PE32+ image of the build, laid out as in memory. Trusted input: reads are unchecked beyond the test's
/// own asserts.
struct FixtureImage {
  std::uint64_t base = 0;
  std::vector<std::byte> bytes;
  std::pair<std::uint32_t, std::uint32_t> exceptions;  ///< RVA and size
  std::uint32_t export_rva = 0;                        ///< the first exported function

  std::uint32_t Load32(std::size_t rva) const;
  std::size_t Read(std::uint32_t rva, std::byte* out, std::size_t size) const;
};

FixtureImage LoadFixtureImage(const std::string& path);

}  // namespace longwire
