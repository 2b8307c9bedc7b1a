#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "client/symbols/pe_image.h"
#include "client/symbols/pe_version.h"

namespace longwire {
namespace {

std::string Sample(const std::string& name) { return std::string(LW_SAMPLE_DIR) + "/" + name; }

std::unique_ptr<PeFile> Open(const std::string& name) {
  auto file = PeFile::Open(Sample(name));
  EXPECT_TRUE(file) << (file ? "" : file.error().message);
  return file ? *std::move(file) : nullptr;
}
RvaReader Reader(const PeFile& file) {
  return [&file](std::uint32_t rva, std::span<std::byte> out) { return file.Read(rva, out); };
}

TEST(PeFile, HeadersHoldWhatTheLinkerWrote) {
  auto file = Open("sample.sys");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->headers().machine, 0x8664);
  EXPECT_TRUE(file->headers().is_64bit);
  EXPECT_EQ(file->headers().timestamp, 0x5f5e1000u);
  EXPECT_EQ(file->headers().size_of_image % 0x1000, 0u);
  ASSERT_EQ(file->headers().directories.size(), 16u);
  const PeDirectory pdata = file->headers().directories[3];
  EXPECT_GT(pdata.size, 0u);
  std::vector<std::byte> entries(pdata.size);
  EXPECT_EQ(file->Read(pdata.rva, entries), entries.size());
  EXPECT_FALSE(Open("stdcall.dll")->headers().is_64bit);
}

TEST(PeFile, ExportsAreNamesWithAddresses) {
  auto file = Open("sample.sys");
  auto exports = ReadExports(file->headers(), Reader(*file));
  ASSERT_TRUE(exports);
  std::vector<std::string> names;
  for (const PeExport& entry : *exports) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"SampleStart", "ShapesMain"}));
}

TEST(PeFile, ReproducibleBuildIsRecognized) {
  auto plain = Open("sample.sys");
  auto reproducible = Open("public.sys");
  EXPECT_FALSE(IsReproducibleBuild(plain->headers(), Reader(*plain)));
  EXPECT_TRUE(IsReproducibleBuild(reproducible->headers(), Reader(*reproducible)));
}

TEST(PeFile, VersionResourceIsRead) {
  auto file = Open("sample.sys");
  auto version = ReadPeVersion(file->headers(), Reader(*file));
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_EQ(FormatVersion(version->file_version), "10.0.19041.546");
  EXPECT_EQ(FormatVersion(version->product_version), "10.0.19041.7");
  EXPECT_EQ(version->flags, 2u);
  EXPECT_EQ(version->flags_mask, 0x3fu);
  EXPECT_EQ(version->os, 0x40004u);
  EXPECT_EQ(version->type, 3u);
  EXPECT_EQ(version->subtype, 7u);
  ASSERT_EQ(version->strings.size(), 2u);
  EXPECT_EQ(version->strings[0], (std::pair<std::string, std::string>("CompanyName", "Sample Works")));
  ASSERT_EQ(version->translations.size(), 1u);
  EXPECT_EQ(version->translations[0], (std::pair<std::uint16_t, std::uint16_t>(0x409, 1200)));
  auto without = Open("public.sys");
  EXPECT_EQ(ReadPeVersion(without->headers(), Reader(*without)).error().code, Errc::kNotFound);
}

TEST(PeFile, FileThatShrinksAfterOpeningGivesShortReads) {
  const std::string path = ::testing::TempDir() + "/shrinking.sys";
  std::filesystem::copy_file(Sample("sample.sys"), path, std::filesystem::copy_options::overwrite_existing);
  auto file = PeFile::Open(path);
  ASSERT_TRUE(file);
  std::filesystem::resize_file(path, 512);
  std::vector<std::byte> out(64);
  EXPECT_EQ((*file)->Read((*file)->headers().sections[0].rva, out), 0u);
}

TEST(PeFile, EveryTruncationIsRefusedOrReadable) {
  std::ifstream in(Sample("sample.sys"), std::ios::binary);
  const std::string whole(std::istreambuf_iterator<char>(in), {});
  for (std::size_t length = 0; length <= whole.size(); length += 7) {
    const RvaReader read = [&](std::uint32_t rva, std::span<std::byte> out) -> std::size_t {
      if (rva >= length) return 0;
      const std::size_t count = std::min(out.size(), length - rva);
      std::memcpy(out.data(), whole.data() + rva, count);
      return count;
    };
    auto headers = ParsePeHeaders(read);
    if (!headers) continue;
    (void)ReadPdbIdentity(*headers, read);
    (void)ReadExports(*headers, read);
    (void)ReadPeVersion(*headers, read);
  }
}

}  // namespace
}  // namespace longwire
