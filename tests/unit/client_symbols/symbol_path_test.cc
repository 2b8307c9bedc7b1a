#include "client/symbols/symbol_path.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

namespace longwire {
namespace {

using Kind = SymbolPath::Element::Kind;
using Stores = std::vector<std::string>;

SymbolPath Parse(std::string_view text) {
  auto path = SymbolPath::Parse(text);
  EXPECT_TRUE(path) << text;
  return path ? *path : SymbolPath{};
}

TEST(SymbolPath, DirectoriesAreSplitAtSemicolons) {
  const SymbolPath path = Parse("/sym; /other dir ;;");
  ASSERT_EQ(path.elements().size(), 2u);
  EXPECT_EQ(path.elements()[0].kind, Kind::kDirectory);
  EXPECT_EQ(path.elements()[1].stores, Stores{"/other dir"});
  EXPECT_TRUE(Parse("").elements().empty());
}

TEST(SymbolPath, KeywordsAreCaseInsensitive) {
  const SymbolPath path = Parse("SRV*/a*/b;Cache*/c;SymSrv*symsrv.dll*/d");
  ASSERT_EQ(path.elements().size(), 3u);
  EXPECT_EQ(path.elements()[0].kind, Kind::kStoreChain);
  EXPECT_EQ(path.elements()[0].stores, (Stores{"/a", "/b"}));
  EXPECT_EQ(path.elements()[1].kind, Kind::kCache);
  EXPECT_EQ(path.elements()[1].stores, Stores{"/c"});
  EXPECT_EQ(path.elements()[2].stores, Stores{"/d"});
}

TEST(SymbolPath, EmptyStoreIsTheDefaultOne) {
  EXPECT_EQ(Parse("srv**/b").elements()[0].stores, (Stores{"", "/b"}));
  EXPECT_EQ(Parse("srv*/a*").elements()[0].stores, (Stores{"/a", ""}));
  EXPECT_EQ(Parse("cache*").elements()[0].stores, Stores{""});
}

TEST(SymbolPath, WebStoreAloneGetsTheDefaultCache) {
  EXPECT_EQ(Parse("srv*https://s.example/x").elements()[0].stores, (Stores{"", "https://s.example/x"}));
  EXPECT_EQ(Parse("srv*/c*https://s.example/x").elements()[0].stores, (Stores{"/c", "https://s.example/x"}));
}

TEST(SymbolPath, MistakesAreUsageErrors) {
  for (const char* text : {"srv*https://a.example*/b", "https://a.example/x", "symsrv*x.dll", "foo*bar"}) {
    auto path = SymbolPath::Parse(text);
    ASSERT_FALSE(path) << text;
    EXPECT_EQ(path.error().code, Errc::kUsage) << text;
  }
}

TEST(SymbolPath, ExpansionWritesDefaultsOut) {
  ::setenv("DBGHELP_HOMEDIR", "/home/me/dbg", 1);
  EXPECT_EQ(DefaultStore(), "/home/me/dbg/sym");
  EXPECT_EQ(Parse("srv*").Expanded(),
            "cache*/home/me/dbg/sym;SRV*https://msdl.microsoft.com/download/symbols");
  EXPECT_EQ(Parse("/a;cache*;srv**/b").Expanded(), "/a;cache*/home/me/dbg/sym;srv*/home/me/dbg/sym*/b");
  ::unsetenv("DBGHELP_HOMEDIR");
  ::setenv("XDG_CACHE_HOME", "/c", 1);
  EXPECT_EQ(DefaultStore(), "/c/longwire/sym");
  ::unsetenv("XDG_CACHE_HOME");
}

}  // namespace
}  // namespace longwire
