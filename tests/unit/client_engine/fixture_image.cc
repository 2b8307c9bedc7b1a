#include "fixture_image.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace longwire {
namespace {

std::uint32_t Get(const std::vector<char>& file, std::size_t offset, unsigned size) {
  std::uint32_t value = 0;
  for (unsigned i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(file.at(offset + i));
  return value;
}

}  // namespace

std::uint32_t FixtureImage::Load32(std::size_t rva) const {
  std::uint32_t value = 0;
  for (unsigned i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes.at(rva + i));
  return value;
}

std::size_t FixtureImage::Read(std::uint32_t rva, std::byte* out, std::size_t size) const {
  if (rva >= bytes.size()) return 0;
  size = std::min(size, bytes.size() - rva);
  std::copy_n(bytes.begin() + rva, size, out);
  return size;
}

FixtureImage LoadFixtureImage(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::vector<char> file{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  const std::uint32_t pe = Get(file, 0x3c, 4);
  const std::size_t optional = pe + 24;
  FixtureImage image;
  image.base = Get(file, optional + 24, 4) | std::uint64_t{Get(file, optional + 28, 4)} << 32;
  image.bytes.resize(Get(file, optional + 56, 4));
  image.exceptions = {Get(file, optional + 112 + 3 * 8, 4), Get(file, optional + 112 + 3 * 8 + 4, 4)};
  const std::size_t sections = optional + Get(file, pe + 20, 2);
  for (unsigned i = 0; i < Get(file, pe + 6, 2); ++i) {
    const std::size_t header = sections + i * 40;
    const std::uint32_t rva = Get(file, header + 12, 4), raw_size = Get(file, header + 16, 4);
    const std::uint32_t size = std::min(raw_size, Get(file, header + 8, 4)), raw = Get(file, header + 20, 4);
    for (std::uint32_t at = 0; at < size; ++at)
      image.bytes.at(rva + at) = static_cast<std::byte>(file.at(raw + at));
  }
  const std::uint32_t exports = Get(file, optional + 112, 4);
  image.export_rva = image.Load32(image.Load32(exports + 28));
  return image;
}

}  // namespace longwire
