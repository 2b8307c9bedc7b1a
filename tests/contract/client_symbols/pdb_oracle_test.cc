// llvm-pdbutil reads the same files with other code: both must say the same.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <string>

#include "client/symbols/symbol_file.h"

namespace longwire {
namespace {

std::string RunPdbutil(const std::string& arguments) {
  const std::string command = std::string(LW_PDBUTIL) + " " + arguments + " 2>/dev/null";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> buffer;
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) text += buffer.data();
  return text;
}

std::string Sample(const std::string& name) { return std::string(LW_SAMPLE_DIR) + "/" + name; }

TEST(PdbOracle, EveryStructureHasTheSizePdbutilPrints) {
  for (const char* file : {"sample.pdb", "stdcall.pdb"}) {
    auto pdb = OpenPdb(Sample(file));
    ASSERT_TRUE(pdb);
    std::istringstream lines(RunPdbutil("dump -types " + Sample(file)));
    // "  0x1016 | LF_STRUCTURE [size = 40] `_SAMPLE_DEVICE`", two lines later "options: ..., sizeof 136"
    const std::regex head(R"((0x[0-9A-F]+) \| LF_(?:STRUCTURE|CLASS|UNION) \[size = \d+\] `(.*)`)");
    const std::regex size(R"(options: (.*)sizeof (\d+))");
    std::smatch match;
    std::string name;
    TypeId id = 0;
    int structures = 0;
    for (std::string line; std::getline(lines, line);) {
      if (std::regex_search(line, match, head)) {
        id = static_cast<TypeId>(std::stoul(match[1], nullptr, 16));
        name = match[2];
      } else if (id != 0 && std::regex_search(line, match, size)) {
        auto info = (*pdb)->DescribeType(id);
        ASSERT_TRUE(info) << name;
        const bool forward = match[1].str().find("forward ref") != std::string::npos;
        if (!forward) {
          EXPECT_EQ(info->size, std::stoull(match[2])) << name;
        }
        if (!forward && name.find("<unnamed") == std::string::npos) {
          EXPECT_EQ(*(*pdb)->FindType(name), id) << name;
        }
        id = 0;
        ++structures;
      }
    }
    if (std::string(file) == "sample.pdb") {
      EXPECT_GE(structures, 8) << "pdbutil printed no structures";
    }
  }
}

TEST(PdbOracle, EveryMemberHasTheOffsetOfTheTypeStream) {
  auto pdb = OpenPdb(Sample("sample.pdb"));
  ASSERT_TRUE(pdb);
  const std::string dump = RunPdbutil("dump -types " + Sample("sample.pdb"));
  // "- LF_MEMBER [name = `Blink`, Type = 0x1002, offset = 8, attrs = public]"
  const std::regex member(R"(LF_MEMBER \[name = `(\w+)`, Type = \S+(?: \(.*?\))?, offset = (\d+))");
  std::multimap<std::string, std::uint64_t> ours;
  for (TypeId id = 0x1000;; ++id) {
    auto info = (*pdb)->DescribeType(id);
    if (!info && info.error().code == Errc::kNotFound) break;
    ASSERT_TRUE(info) << id;
    for (const TypeField& field : info->fields) ours.emplace(field.name, field.offset);
  }
  int members = 0;
  for (std::sregex_iterator it(dump.begin(), dump.end(), member), end; it != end; ++it, ++members) {
    const auto [first, last] = ours.equal_range((*it)[1]);
    bool same = false;
    for (auto entry = first; entry != last; ++entry) same = same || entry->second == std::stoull((*it)[2]);
    EXPECT_TRUE(same) << (*it)[1] << " at " << (*it)[2];
  }
  EXPECT_GE(members, 20);
}

TEST(PdbOracle, EveryPublicIsFoundAtTheAddressPdbutilPrints) {
  for (const char* file : {"sample.pdb", "public.pdb", "stdcall.pdb"}) {
    auto pdb = OpenPdb(Sample(file));
    ASSERT_TRUE(pdb);
    std::map<int, std::uint32_t> sections;
    const std::string headers = RunPdbutil("dump -section-headers " + Sample(file));
    const std::regex section(
        R"(SECTION HEADER #(\d+)\s+\S+ name\s+\S+ virtual size\s+([0-9A-F]+) virtual address)");
    for (std::sregex_iterator it(headers.begin(), headers.end(), section), end; it != end; ++it)
      sections[std::stoi((*it)[1])] = static_cast<std::uint32_t>(std::stoul((*it)[2], nullptr, 16));
    ASSERT_FALSE(sections.empty()) << headers;
    const std::string dump = RunPdbutil("dump -publics " + Sample(file));
    const std::regex symbol(R"(S_PUB32 \[size = \d+\] `([^`]+)`\s+flags = [^,]*, addr = (\d+):(\d+))");
    int publics = 0;
    for (std::sregex_iterator it(dump.begin(), dump.end(), symbol), end; it != end; ++it) {
      const int number = std::stoi((*it)[2]);
      if (!sections.contains(number)) continue;
      auto found = (*pdb)->FindSymbol((*it)[1].str());
      ASSERT_TRUE(found) << (*it)[1];
      EXPECT_EQ(found->rva, sections[number] + std::stoul((*it)[3])) << (*it)[1];
      ++publics;
    }
    EXPECT_GE(publics, 4) << file;
  }
}

}  // namespace
}  // namespace longwire
