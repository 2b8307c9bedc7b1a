// Real files of other tool chains, where the source tree has them beside it.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "client/symbols/pe_image.h"
#include "client/symbols/symbol_file.h"

namespace longwire {
namespace {

std::string Data(const std::string& name) { return std::string(LW_SHARED_DATA) + "/" + name; }

#define NEED(file) \
  if (!std::filesystem::exists(Data(file))) GTEST_SKIP() << Data(file) << " is not there"

TEST(SharedData, ImageAndPdbOfAnMsvcBuildBelongTogether) {
  NEED("SimplePDB.exe");
  auto image = PeFile::Open(Data("SimplePDB.exe"));
  ASSERT_TRUE(image) << image.error().message;
  auto identity =
      ReadPdbIdentity((*image)->headers(), [&](auto rva, auto out) { return (*image)->Read(rva, out); });
  ASSERT_TRUE(identity);
  auto pdb = OpenPdb(Data("SimplePDB.pdb"));
  ASSERT_TRUE(pdb) << pdb.error().message;
  EXPECT_EQ((*pdb)->identity(), *identity);
  auto main = (*pdb)->FindSymbol("main");
  ASSERT_TRUE(main);
  EXPECT_TRUE((*pdb)->FindLine(main->rva));
  EXPECT_EQ((*pdb)->NearestSymbol(main->rva + 1)->name, "main");
}

TEST(SharedData, KnownWindowsTypesHaveTheirSizes) {
  for (const char* file : {"SimplePDB.pdb", "r_bp.pdb"}) {
    NEED(file);
    auto pdb = OpenPdb(Data(file));
    ASSERT_TRUE(pdb) << pdb.error().message;
    auto id = (*pdb)->FindType("_EXCEPTION_RECORD");
    if (!id) continue;
    auto info = (*pdb)->DescribeType(*id);
    ASSERT_TRUE(info);
    auto code = (*pdb)->DescribeType(info->fields.at(2).type);
    ASSERT_TRUE(code);
    EXPECT_EQ(info->size, code->size == 8 ? 0x98u : 0x50u) << file;
  }
}

TEST(SharedData, SmallestPdbOpens) {
  NEED("minimal.pdb");
  auto pdb = OpenPdb(Data("minimal.pdb"));
  EXPECT_TRUE(pdb) << pdb.error().message;
}

}  // namespace
}  // namespace longwire
