// Writes the PE checksum into an image, which lld leaves at zero: NT's loader entries and load-symbols
// reports carry it. Usage: stamp_checksum LINKED OUT
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

namespace {

constexpr size_t kChecksumOffset = 0x58;  // from the PE signature

uint32_t Checksum(const std::vector<uint8_t>& image) {
  uint32_t sum = 0;
  for (size_t i = 0; i < image.size(); i += 2) {
    sum += image[i] | (i + 1 < image.size() ? image[i + 1] << 8 : 0);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return sum + static_cast<uint32_t>(image.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::ifstream in(argv[1], std::ios::binary);
  std::vector<uint8_t> image((std::istreambuf_iterator<char>(in)), {});
  const size_t pe = image.size() > 0x40 ? image[0x3C] | image[0x3D] << 8 : 0;
  if (pe == 0 || pe + kChecksumOffset + 4 > image.size()) {
    std::fprintf(stderr, "stamp_checksum: %s is not a PE image\n", argv[1]);
    return 1;
  }
  uint8_t* field = image.data() + pe + kChecksumOffset;
  for (int i = 0; i < 4; ++i) field[i] = 0;
  const uint32_t checksum = Checksum(image);
  for (int i = 0; i < 4; ++i) field[i] = static_cast<uint8_t>(checksum >> (8 * i));
  std::ofstream out(argv[2], std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  return out.good() ? 0 : 1;
}
