#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/symbols/pdb_identity.h"
#include "client/symbols/symbol_path.h"
#include "tests/contract/client_symbols/sample_directory.h"

namespace longwire {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class SymbolSearch : public ::testing::Test {
 protected:
  void SetUp() override {
    auto identity = ReadPdbFileIdentity(Sample("sample.pdb"));
    ASSERT_TRUE(identity) << identity.error().message;
    wanted = *identity;
    key = wanted.Key();
  }
  Result<std::string> Find(const std::string& text, bool accept_mismatch = false) {
    auto path = SymbolPath::Parse(text);
    EXPECT_TRUE(path);
    lines.clear();
    return FindPdb(*path, wanted, "sample.sys", accept_mismatch,
                   [this](std::string_view line) { lines.emplace_back(line); });
  }
  ScopedDirectory a, b, c;
  PdbIdentity wanted;
  std::string key;
  std::vector<std::string> lines;
};

TEST_F(SymbolSearch, ProbesTheThreeDirectoriesInOrder) {
  const std::string plain = a.Put("sample.pdb", "sample.pdb");
  EXPECT_EQ(*Find(a.path()), plain);
  const std::string by_kind = a.Put("sample.pdb", "sys/sample.pdb");
  EXPECT_EQ(*Find(a.path()), by_kind);
  const std::string symbols = a.Put("sample.pdb", "symbols/sys/sample.pdb");
  EXPECT_EQ(*Find(a.path()), symbols);
}

TEST_F(SymbolSearch, DirectoriesAreNotSearchedRecursively) {
  a.Put("sample.pdb", "deeper/sample.pdb");
  auto found = Find(a.path());
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::kNotFound);
  EXPECT_THAT(found.error().message, HasSubstr(a.path()));
}

TEST_F(SymbolSearch, FileNamesMatchInAnyCase) {
  const std::string upper = a.Put("sample.pdb", "SAMPLE.PDB");
  EXPECT_EQ(*Find(a.path()), upper);
}

TEST_F(SymbolSearch, MismatchIsTracedAndTakenOnlyIfAllowed) {
  const std::string wrong = a.Put("public.pdb", "sample.pdb");
  EXPECT_FALSE(Find(a.path()));
  EXPECT_THAT(lines, Contains(HasSubstr("DBGHELP: " + wrong + " - mismatched pdb")));
  EXPECT_EQ(*Find(a.path(), true), wrong);
  const std::string right = b.Put("sample.pdb", "sample.pdb");
  EXPECT_EQ(*Find(a.path() + ";" + b.path(), true), right);
}

TEST_F(SymbolSearch, OneTierAndTwoTierStores) {
  const std::string one = a.Put("sample.pdb", "sample.pdb/" + key + "/sample.pdb");
  EXPECT_EQ(*Find("srv*" + a.path()), one);
  b.Write("index2.txt", "");
  const std::string two = b.Put("sample.pdb", "sa/sample.pdb/" + key + "/sample.pdb");
  EXPECT_EQ(*Find("SRV*" + b.path()), two);
}

TEST_F(SymbolSearch, StoreKeysMatchInLowerCase) {
  std::string lower = key;
  for (char& letter : lower) letter = static_cast<char>(std::tolower(letter));
  const std::string file = a.Put("sample.pdb", "Sample.pdb/" + lower + "/Sample.pdb");
  EXPECT_EQ(*Find("srv*" + a.path()), file);
}

TEST_F(SymbolSearch, MissesAndWrongFilesOfAStoreAreTraced) {
  EXPECT_FALSE(Find("srv*" + a.path()));
  EXPECT_THAT(lines, Contains("SYMSRV:  " + a.path() + "/sample.pdb/" + key + "/sample.pdb not found"));
  a.Put("public.pdb", "sample.pdb/" + key + "/sample.pdb");
  EXPECT_FALSE(Find("srv*" + a.path(), true)) << "a store matches exactly, whatever is allowed";
  EXPECT_THAT(lines, Contains(HasSubstr("mismatched")));
}

TEST_F(SymbolSearch, HitIsCopiedToEveryStoreLeftOfIt) {
  c.Put("sample.pdb", "sample.pdb/" + key + "/sample.pdb");
  auto found = Find("srv*" + a.path() + "*" + b.path() + "*" + c.path());
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, a.path() + "/sample.pdb/" + key + "/sample.pdb");
  EXPECT_TRUE(b.Has("sample.pdb/" + key + "/sample.pdb"));
  EXPECT_EQ(*ReadPdbFileIdentity(*found), wanted);
  for (const auto& entry : std::filesystem::directory_iterator(a.path() + "/sample.pdb/" + key))
    EXPECT_EQ(entry.path().filename(), "sample.pdb") << "no temporary file stays";
}

TEST_F(SymbolSearch, UnwritableStoreIsSkipped) {
  const std::string file = b.Put("sample.pdb", "sample.pdb/" + key + "/sample.pdb");
  EXPECT_EQ(*Find("srv*/proc/longwire*" + b.path()), file);
}

TEST_F(SymbolSearch, CacheElementCachesWhatIsRightOfItOnly) {
  b.Put("sample.pdb", "sample.pdb");
  auto left = Find(b.path() + ";cache*" + a.path());
  EXPECT_EQ(*left, b.path() + "/sample.pdb");
  EXPECT_FALSE(a.Has("sample.pdb"));
  auto right = Find("cache*" + a.path() + ";" + b.path());
  EXPECT_EQ(*right, a.path() + "/sample.pdb/" + key + "/sample.pdb");
  std::filesystem::remove(b.path() + "/sample.pdb");
  EXPECT_TRUE(Find("cache*" + a.path() + ";" + b.path())) << "the cache answers now";
}

TEST_F(SymbolSearch, FilePointerIsFollowedAndItsMessageTraced) {
  const std::string real = b.Put("sample.pdb", "elsewhere.pdb");
  a.Write("sample.pdb/" + key + "/file.ptr", "PATH:" + real + "\r\n");
  EXPECT_EQ(*Find("srv*" + a.path()), real);
  c.Write("sample.pdb/" + key + "/file.ptr", "MSG: withdrawn by its owner");
  EXPECT_FALSE(Find("srv*" + c.path()));
  EXPECT_THAT(lines, Contains(HasSubstr("withdrawn by its owner")));
}

TEST_F(SymbolSearch, CompressedFilesAndWebStoresAreReported) {
  a.Write("sample.pdb/" + key + "/sample.pd_", "MSCF");
  EXPECT_FALSE(Find("srv*" + a.path()));
  EXPECT_THAT(lines, Contains(HasSubstr("compressed")));
  EXPECT_FALSE(Find("srv*" + b.path() + "*https://symbols.example/store"));
  EXPECT_THAT(lines, Contains(HasSubstr("https://symbols.example/store")));
}

TEST_F(SymbolSearch, NamesThatLeaveTheDirectoryAreCutOrRefused) {
  a.Put("sample.pdb", "sample.pdb");
  wanted.name = "C:\\build\\..\\sample.pdb";
  EXPECT_EQ(*Find(a.path()), a.path() + "/sample.pdb");
  wanted.name = "../../sample.pdb";
  EXPECT_EQ(*Find(a.path()), a.path() + "/sample.pdb");
  for (const char* name : {"", "..", ".", "x/..", "a\nb.pdb", "c:"}) {
    wanted.name = name;
    auto found = Find(a.path());
    ASSERT_FALSE(found) << name;
    EXPECT_EQ(found.error().code, Errc::kMalformed) << name;
  }
}

TEST_F(SymbolSearch, ImagesAreFoundByTimeStampAndSize) {
  auto image = PeFile::Open(Sample("sample.sys"));
  ASSERT_TRUE(image);
  const std::uint32_t size = (*image)->headers().size_of_image;
  char image_key[32];
  std::snprintf(image_key, sizeof image_key, "5F5E1000%x", size);
  const std::string file = a.Put("sample.sys", std::string("sample.sys/") + image_key + "/sample.sys");
  auto path = SymbolPath::Parse("srv*" + a.path());
  EXPECT_EQ(*FindImage(*path, "\\SystemRoot\\drivers\\Sample.sys", 0x5f5e1000, size, {}), file);
  EXPECT_FALSE(FindImage(*path, "sample.sys", 0x5f5e1001, size, {}));
}

TEST(PdbFileIdentity, DamagedFilesAreRefused) {
  ScopedDirectory a;
  const std::string file = a.Put("sample.pdb", "x.pdb");
  std::filesystem::resize_file(file, 4096);
  EXPECT_FALSE(ReadPdbFileIdentity(file));
  EXPECT_FALSE(ReadPdbFileIdentity(a.Write("y.pdb", "Microsoft C/C++ MSF 7.00\r\n")));
  EXPECT_FALSE(ReadPdbFileIdentity("/dev/zero"));
}

}  // namespace
}  // namespace longwire
