// Damaged PDBs: whatever a file holds, opening it ends with symbols or with a reason, and this process goes
// on.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "client/symbols/symbol_file.h"

namespace longwire {
namespace {

using Bytes = std::vector<char>;
constexpr std::size_t kBlock = 4096;

Bytes ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

// Flips in the whole file or in its non-zero parts, cut ends, exchanged blocks, and extreme numbers.
void Mutate(Bytes& bytes, std::mt19937& random) {
  const auto below = [&random](std::size_t limit) { return limit == 0 ? 0 : random() % limit; };
  switch (below(8)) {
    case 0: bytes.resize(below(bytes.size())); return;
    case 1: bytes.resize(bytes.size() - kBlock * below(bytes.size() / kBlock)); return;
    case 2: {
      const std::size_t a = below(bytes.size() / kBlock) * kBlock, b = below(bytes.size() / kBlock) * kBlock;
      std::swap_ranges(bytes.begin() + a, bytes.begin() + a + kBlock, bytes.begin() + b);
      return;
    }
    case 3:
    case 4:
      for (std::size_t i = 1 + below(8); i > 0; --i) {
        const std::size_t at = below(bytes.size() - 4);
        const unsigned value = below(2) == 0 ? 0xffffffffu : 0x7fffffffu >> below(31);
        for (int k = 0; k < 4; ++k) bytes[at + k] = static_cast<char>(value >> (8 * k));
      }
      return;
    default:
      for (std::size_t i = 1 + below(64); i > 0; --i) {
        std::size_t at = below(bytes.size());
        for (int tries = 0; bytes[at] == 0 && tries < 16; ++tries) at = below(bytes.size());
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
      }
  }
}

void UseEverything(SymbolFile& file) {
  std::vector<Symbol> symbols;
  file.ForEachSymbol([](std::string_view) { return true; },
                     [&](const Symbol& s) {
                       if (symbols.size() < 200) symbols.push_back(s);
                       return true;
                     });
  for (const Symbol& s : symbols) {
    (void)file.FindSymbol(s.name);
    (void)file.NearestSymbol(s.rva);
    (void)file.NextSymbol(s.rva);
    (void)file.FindLine(s.rva);
    (void)file.FindLocals(s.rva);
  }
  file.ForEachType([](std::string_view) { return true; },
                   [&](TypeId id, std::string_view name) {
                     (void)file.FindType(name);
                     (void)file.DescribeType(id);
                     return true;
                   });
}

struct Tally {
  int opened = 0, refused = 0;
};

Tally OpenMutants(const std::string& original, int count, unsigned seed) {
  const Bytes bytes = ReadFile(original);
  EXPECT_GT(bytes.size(), 2 * kBlock);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("longwire-mutant-" + std::to_string(::getpid()) + ".pdb"))
          .string();
  Tally tally;
  for (int i = 0; i < count; ++i) {
    std::mt19937 random(seed + static_cast<unsigned>(i));
    Bytes mutant = bytes;
    Mutate(mutant, random);
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary).write(mutant.data(), static_cast<std::streamsize>(mutant.size()));
    auto opened = OpenPdb(path);
    if (opened) {
      ++tally.opened;
      UseEverything(**opened);
    } else {
      ++tally.refused;
      EXPECT_EQ(opened.error().code, Errc::kMalformed) << "seed " << seed + static_cast<unsigned>(i);
      EXPECT_FALSE(opened.error().message.empty());
    }
  }
  std::filesystem::remove(path);
  return tally;
}

TEST(DamagedPdb, ThreeThousandCopiesEndInSymbolsOrAReason) {
  const Tally own = OpenMutants(std::string(LW_SAMPLE_DIR) + "/sample.pdb", 2000, 1);
  const Tally decorated = OpenMutants(std::string(LW_SAMPLE_DIR) + "/public.pdb", 500, 100000);
  const Tally x86 = OpenMutants(std::string(LW_SAMPLE_DIR) + "/stdcall.pdb", 500, 200000);
  // Both outcomes must occur often, or the mutations test nothing.
  EXPECT_GT(own.opened, 200);
  EXPECT_GT(own.refused, 200);
  EXPECT_GT(decorated.refused + x86.refused, 100);
}

// Runs a copy of this program beside a checker that behaves as a damaged file would make it.
int OpenBesideChecker(const std::string& script) {
  const std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("longwire-checker-" + std::to_string(::getpid()));
  std::filesystem::create_directories(directory);
  std::filesystem::copy_file("/proc/self/exe", directory / "program");
  std::ofstream(directory / "lw-pdbcheck") << "#!/bin/sh\n" << script << "\n";
  std::filesystem::permissions(directory / "lw-pdbcheck", std::filesystem::perms::owner_all);
  const std::string command = (directory / "program").string() + " --gtest_also_run_disabled_tests " +
                              "--gtest_filter=PdbChecker.DISABLED_RefusesTheSample > /dev/null";
  const int status = std::system(command.c_str());
  std::filesystem::remove_all(directory);
  return status;
}

// Child of the tests below; refuses what lies beside it only if the checker's end was noticed.
TEST(PdbChecker, DISABLED_RefusesTheSample) {
  auto opened = OpenPdb(std::string(LW_SAMPLE_DIR) + "/sample.pdb");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kMalformed);
  EXPECT_NE(opened.error().message.find("damaged PDB"), std::string::npos) << opened.error().message;
}

TEST(PdbChecker, CrashOfTheCheckerRefusesTheFile) { EXPECT_EQ(OpenBesideChecker("kill -SEGV $$"), 0); }
TEST(PdbChecker, HangOfTheCheckerRefusesTheFile) { EXPECT_EQ(OpenBesideChecker("exec sleep 600"), 0); }
TEST(PdbChecker, PassOfTheCheckerOpensTheFile) { EXPECT_NE(OpenBesideChecker("exit 0"), 0); }

}  // namespace
}  // namespace longwire
