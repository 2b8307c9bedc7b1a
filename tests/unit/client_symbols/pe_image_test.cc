#include "client/symbols/pe_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace longwire {
namespace {

/// Smallest PE32+ header in memory, with one section and a debug directory.
struct Image {
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(0x3000);

  void Put(std::size_t at, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  Image() {
    Put(0, 0x5a4d, 2);
    Put(0x3c, 0x80, 4);
    Put(0x80, 0x4550, 4);
    Put(0x84, 0x8664, 2);
    Put(0x86, 1, 2);
    Put(0x88, 0x12345678, 4);
    Put(0x94, 240, 2);
    const std::size_t optional = 0x98;
    Put(optional, 0x20b, 2);
    Put(optional + 16, 0x1100, 4);
    Put(optional + 24, 0xfffff80000000000, 8);
    Put(optional + 56, 0x3000, 4);
    Put(optional + 64, 0xabcd, 4);
    Put(optional + 108, 16, 4);
    Put(optional + 112 + 6 * 8, 0x2000, 4);
    Put(optional + 112 + 6 * 8 + 4, 56, 4);
    const std::size_t section = optional + 240;
    std::memcpy(&bytes[section], ".text\0\0", 8);
    Put(section + 8, 0x800, 4);
    Put(section + 12, 0x1000, 4);
    Put(0x2000 + 12, 2, 4);
    Put(0x2000 + 16, 24 + 6, 4);
    Put(0x2000 + 20, 0x2100, 4);
    Put(0x2000 + 28 + 12, 16, 4);
    std::memcpy(&bytes[0x2100], "RSDS", 4);
    for (int i = 0; i < 16; ++i) bytes[0x2104 + i] = static_cast<std::uint8_t>(i + 1);
    Put(0x2114, 0x1a, 4);
    std::memcpy(&bytes[0x2118], "x.pdb", 6);
  }
  RvaReader Reader() const {
    return [this](std::uint32_t rva, std::span<std::byte> out) -> std::size_t {
      if (rva >= bytes.size()) return 0;
      const std::size_t count = std::min(out.size(), bytes.size() - rva);
      std::memcpy(out.data(), bytes.data() + rva, count);
      return count;
    };
  }
};

TEST(PeHeaders, AreReadFromMemory) {
  const Image image;
  auto headers = ParsePeHeaders(image.Reader());
  ASSERT_TRUE(headers) << headers.error().message;
  EXPECT_EQ(headers->machine, 0x8664);
  EXPECT_EQ(headers->timestamp, 0x12345678u);
  EXPECT_EQ(headers->entry_point, 0x1100u);
  EXPECT_EQ(headers->image_base, 0xfffff80000000000u);
  EXPECT_EQ(headers->size_of_image, 0x3000u);
  EXPECT_EQ(headers->checksum, 0xabcdu);
  EXPECT_EQ(headers->directories.size(), 16u);
  ASSERT_EQ(headers->sections.size(), 1u);
  EXPECT_EQ(headers->sections[0].name, ".text");
}

TEST(PeHeaders, IdentityKeyIsSpelledAsStoresDo) {
  const Image image;
  auto headers = ParsePeHeaders(image.Reader());
  auto identity = ReadPdbIdentity(*headers, image.Reader());
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->name, "x.pdb");
  EXPECT_EQ(identity->Key(), "0403020106050807090A0B0C0D0E0F101A");
  EXPECT_EQ(PdbIdentity{}.Key(), std::string(32, '0') + "0");
  EXPECT_TRUE(IsReproducibleBuild(*headers, image.Reader()));
}

TEST(PeHeaders, UnreadableAndForeignBytesAreErrors) {
  EXPECT_EQ(ParsePeHeaders([](std::uint32_t, std::span<std::byte>) { return std::size_t{0}; }).error().code,
            Errc::kUnreadable);
  Image no_mz;
  no_mz.Put(0, 0, 2);
  EXPECT_EQ(ParsePeHeaders(no_mz.Reader()).error().code, Errc::kMalformed);
  Image far;
  far.Put(0x3c, 0xfffffff0, 4);
  EXPECT_EQ(ParsePeHeaders(far.Reader()).error().code, Errc::kMalformed);
  Image many;
  many.Put(0x86, 97, 2);
  EXPECT_EQ(ParsePeHeaders(many.Reader()).error().code, Errc::kMalformed);
}

TEST(PeHeaders, EveryByteChangeIsSurvived) {
  for (std::size_t at = 0; at < 0x220; ++at) {
    Image image;
    image.bytes[at] = 0xff;
    auto headers = ParsePeHeaders(image.Reader());
    if (!headers) continue;
    EXPECT_LE(headers->directories.size(), 16u);
    EXPECT_LE(headers->sections.size(), 96u);
    (void)ReadPdbIdentity(*headers, image.Reader());
    (void)ReadExports(*headers, image.Reader());
  }
}

}  // namespace
}  // namespace longwire
