#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "client/symbols/symbol_table.h"
#include "tests/contract/client_symbols/sample_directory.h"

namespace longwire {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// A target whose memory holds the sample image at one base and the public one at another.
class LoadedSymbols : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSampleBase = 0xfffff80012340000, kPublicBase = 0xfffff80056780000;

  void SetUp() override {
    sample = *PeFile::Open(Sample("sample.sys"));
    other = *PeFile::Open(Sample("public.sys"));
    table.modules().Replace(
        {Record("sample.sys", kSampleBase, *sample), Record("public.sys", kPublicBase, *other)});
    table.loader().set_memory_reader([this](std::uint64_t address, std::span<std::byte> out) -> std::size_t {
      ++reads;
      if (!memory_readable) return 0;
      const bool in_sample = address - kSampleBase < sample->headers().size_of_image;
      const std::uint64_t base = in_sample ? kSampleBase : kPublicBase;
      return (in_sample ? *sample : *other).Read(static_cast<std::uint32_t>(address - base), out);
    });
    table.loader().set_trace([this](std::string_view line) { lines.emplace_back(line); });
    UsePath(LW_SAMPLE_DIR);
  }
  static ModuleRecord Record(const std::string& name, std::uint64_t base, const PeFile& file) {
    ModuleRecord record;
    record.base = base;
    record.size = file.headers().size_of_image;
    record.image_name = name;
    record.image_path = "\\SystemRoot\\System32\\drivers\\" + name;
    record.timestamp = file.headers().timestamp;
    return record;
  }
  void UsePath(const std::string& text) { table.loader().set_symbol_path(*SymbolPath::Parse(text)); }
  Module& module(const char* name) { return *table.modules().FindByName(name); }

  std::unique_ptr<PeFile> sample, other;
  SymbolTable table;
  bool memory_readable = true;
  int reads = 0;
  std::vector<std::string> lines;
};

TEST_F(LoadedSymbols, ModulesStayDeferredUntilANameNeedsThem) {
  EXPECT_EQ(*table.Resolve("sample"), kSampleBase);
  EXPECT_EQ(module("sample").state(), SymbolState::kDeferred);
  EXPECT_EQ(reads, 0);
  auto address = table.Resolve("sample!SampleStart");
  ASSERT_TRUE(address) << address.error().message;
  EXPECT_EQ(module("sample").state(), SymbolState::kPrivatePdb);
  EXPECT_EQ(module("public").state(), SymbolState::kDeferred) << "a!b loads only a";
  EXPECT_EQ(module("sample").symbol_path(), Sample("sample.pdb"));
}

TEST_F(LoadedSymbols, IdentityComesFromMemoryWhenThereIsNoImageFile) {
  ScopedDirectory only_pdb;
  only_pdb.Put("sample.pdb", "sample.pdb");
  UsePath(only_pdb.path());
  EXPECT_TRUE(table.Resolve("sample!SampleStart"));
  EXPECT_EQ(module("sample").image(), nullptr);
  EXPECT_NE(module("sample").headers(), nullptr);
}

TEST_F(LoadedSymbols, IdentityComesFromTheImageFileWhenMemoryIsPagedOut) {
  memory_readable = false;
  EXPECT_TRUE(table.Resolve("sample!SampleStart"));
  ASSERT_NE(module("sample").image(), nullptr);
}

TEST_F(LoadedSymbols, ExportsStandInForAMissingPdb) {
  ScopedDirectory empty;
  UsePath(empty.path());
  auto address = table.Resolve("sample!SampleStart");
  ASSERT_TRUE(address);
  EXPECT_EQ(module("sample").state(), SymbolState::kExport);
  EXPECT_THAT(lines, Contains(HasSubstr("Defaulted to export symbols for sample.sys")));
  EXPECT_THAT(module("sample").load_error(), HasSubstr("sample.pdb"));
}

TEST_F(LoadedSymbols, WithoutAnythingThereIsNoSymbolAndAReason) {
  ScopedDirectory empty;
  UsePath(empty.path());
  memory_readable = false;
  EXPECT_FALSE(table.Resolve("sample!SampleStart"));
  EXPECT_EQ(module("sample").state(), SymbolState::kNone);
  EXPECT_THAT(module("sample").load_error(), HasSubstr("image header"));
  EXPECT_EQ(table.NameOf(kSampleBase + 0x334), "sample+0x334");
}

TEST_F(LoadedSymbols, DamagedPdbGivesExportsAndItsReason) {
  ScopedDirectory damaged;
  const std::string file = damaged.Put("sample.pdb", "sample.pdb");
  {
    // The debug-information stream of this size is beyond every reader; identity blocks stay whole.
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(0, std::ios::end);
    const auto size = out.tellp();
    std::filesystem::resize_file(file, static_cast<std::uintmax_t>(size) - 4096);
  }
  UsePath(damaged.path());
  EXPECT_TRUE(table.Resolve("sample!SampleStart"));
  EXPECT_EQ(module("sample").state(), SymbolState::kExport);
  EXPECT_FALSE(module("sample").load_error().empty());
}

TEST_F(LoadedSymbols, NamesOfAddressesCarryModuleAndDisplacement) {
  const std::uint64_t start = *table.Resolve("sample!SampleStart");
  EXPECT_EQ(table.NameOf(start), "sample!SampleStart");
  EXPECT_EQ(table.NameOf(start + 0x1c), "sample!SampleStart+0x1c");
  EXPECT_EQ(table.NameOf(0x1000), "");
  auto next = table.Next(start);
  ASSERT_TRUE(next);
  EXPECT_GT(next->address, start);
}

TEST_F(LoadedSymbols, BareNamesAskLoadedModulesThenDeferredOnesInOrder) {
  auto address = table.Resolve("SampleEntry");
  ASSERT_TRUE(address);
  EXPECT_EQ(*address - kSampleBase, *table.Resolve("sample!SampleEntry") - kSampleBase);
  EXPECT_EQ(module("public").state(), SymbolState::kDeferred) << "found before it was its turn";
  ASSERT_TRUE(table.Resolve("public!SampleEntry"));
  auto ambiguous = table.Resolve("SampleEntry");
  ASSERT_FALSE(ambiguous);
  EXPECT_EQ(ambiguous.error().message, "Ambiguous symbol error at 'SampleEntry'");
  EXPECT_TRUE(table.Resolve("SampleCount")) << "private in one module only";
}

TEST_F(LoadedSymbols, UnknownNamesAreReportedAsUsersKnowIt) {
  EXPECT_EQ(table.Resolve("foo!bar").error().message, "Couldn't resolve error at 'foo!bar'");
  EXPECT_EQ(table.Resolve("sample!nothing").error().message, "Couldn't resolve error at 'sample!nothing'");
  EXPECT_EQ(table.FindType("sample!_NO").error().message, "Symbol sample!_NO not found.");
}

TEST_F(LoadedSymbols, NoUnqualifiedLoadsLeavesDeferredModulesAlone) {
  table.loader().options().no_unqualified_loads = true;
  EXPECT_FALSE(table.Resolve("SampleStart"));
  EXPECT_EQ(module("sample").state(), SymbolState::kDeferred);
}

TEST_F(LoadedSymbols, TypesAreFoundWithAndWithoutModule) {
  auto type = table.FindType("sample!_SAMPLE_DEVICE");
  ASSERT_TRUE(type);
  EXPECT_EQ(type->module, &module("sample"));
  EXPECT_EQ(table.Describe(*type)->name, "_SAMPLE_DEVICE");
  EXPECT_EQ(table.FindType("struct _SAMPLE_DEVICE")->id, type->id);
}

TEST_F(LoadedSymbols, PatternsEnumerateSymbolsAndTypes) {
  std::vector<std::string> names;
  table.ForEachSymbol("sam*!sample?tart", [&](Module& in, const Symbol& symbol, std::uint64_t address) {
    names.push_back(in.name() + "!" + symbol.name);
    EXPECT_EQ(address, in.base() + symbol.rva);
    return true;
  });
  EXPECT_EQ(names, std::vector<std::string>{"sample!SampleStart"});
  names.clear();
  table.ForEachType("sample!_sample*", [&](Module&, TypeId, std::string_view name) {
    names.emplace_back(name);
    return true;
  });
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"_SAMPLE_DEVICE", "_SAMPLE_STATE"}));
}

TEST_F(LoadedSymbols, ReplacingTheListKeepsWhatIsUnchanged) {
  ASSERT_TRUE(table.Resolve("sample!SampleStart"));
  const SymbolFile* file = module("sample").symbols();
  ModuleRecord moved = Record("public.sys", kPublicBase + 0x100000, *other);
  table.modules().Replace({moved, Record("sample.sys", kSampleBase, *sample)});
  EXPECT_EQ(module("sample").symbols(), file);
  EXPECT_EQ(module("public").base(), kPublicBase + 0x100000);
  ModuleRecord rebuilt = Record("sample.sys", kSampleBase, *sample);
  rebuilt.timestamp += 1;
  table.modules().Replace({rebuilt});
  EXPECT_EQ(module("sample").state(), SymbolState::kDeferred);
}

TEST_F(LoadedSymbols, ImageBytesComeFromTheFileFirst) {
  std::vector<std::byte> out(16);
  EXPECT_EQ(table.loader().ReadImage(module("sample"), 0, out), out.size());
  EXPECT_EQ(reads, 0);
  auto headers = table.loader().Headers(module("sample"));
  ASSERT_TRUE(headers);
  EXPECT_GT((*headers)->directories[3].size, 0u);
}

TEST_F(LoadedSymbols, NoisyTraceTellsTheSearch) {
  table.loader().options().noisy = true;
  ASSERT_TRUE(table.Resolve("sample!SampleStart"));
  EXPECT_THAT(lines, Contains("DBGHELP: sample - private symbols & lines"));
  ASSERT_TRUE(table.Resolve("public!SampleStart"));
  EXPECT_THAT(lines, Contains("DBGHELP: public - public symbols"));
}

}  // namespace
}  // namespace longwire
