#include "client/engine/evaluator.h"

#include <gtest/gtest.h>

#include <map>

namespace longwire {
namespace {

/// A scope over maps: symbols, registers, and one run of bytes at kMemory.
class EvaluatorTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kMemory = 0x1000;

  EvaluatorTest() {
    for (unsigned i = 0; i < 0x100; ++i) memory_.push_back(static_cast<std::byte>(i));
    scope_.symbol = [this](std::string_view name) -> Result<std::uint64_t> {
      const auto found = symbols_.find(std::string(name));
      if (found == symbols_.end()) return Error{Errc::kNotFound, "no symbol"};
      return found->second;
    };
    scope_.register_value = [this](std::string_view name) -> Result<std::uint64_t> {
      const auto found = registers_.find(std::string(name));
      if (found == registers_.end()) return Error{Errc::kNotFound, "no register"};
      return found->second;
    };
    scope_.read_virtual = [this](std::uint64_t address, std::span<std::byte> out) {
      return Read(address - kMemory, out);
    };
    scope_.read_physical = [this](std::uint64_t address, std::span<std::byte> out) {
      return Read(address, out);
    };
  }

  Result<std::size_t> Read(std::uint64_t offset, std::span<std::byte> out) {
    if (offset >= memory_.size()) return Error{Errc::kUnreadable, "unreadable"};
    const std::size_t size = std::min<std::size_t>(out.size(), memory_.size() - offset);
    std::copy_n(memory_.begin() + static_cast<std::ptrdiff_t>(offset), size, out.begin());
    return size;
  }

  std::uint64_t Value(std::string_view text) {
    const Result<std::uint64_t> value = EvaluateMasmAll(text, scope_);
    EXPECT_TRUE(value) << text << ": " << (value ? "" : value.error().message);
    return value ? *value : 0xbad;
  }
  std::string Failure(std::string_view text) {
    const Result<std::uint64_t> value = EvaluateMasmAll(text, scope_);
    return value ? "value " + std::to_string(*value) : value.error().message;
  }

  std::vector<std::byte> memory_;
  std::map<std::string, std::uint64_t> symbols_ = {{"nt", 0xfffff80400000000},
                                                   {"nt!Foo", 0xfffff80400001000},
                                                   {"Foo", 0xfffff80400001000},
                                                   {"beef", 0x77},
                                                   {"each", 0x99},
                                                   {"nt!A::B", 0x55},
                                                   {"rax", 0x44},
                                                   {"nt!a<int>", 0x66},
                                                   {"`drv.c:12`", 0x88},
                                                   {"bp", 0x21}};
  std::map<std::string, std::uint64_t> registers_ = {
      {"rax", 0x123}, {"$ip", 0xfffff80400001234}, {"$t0", 7}, {"eax", 0x80000001}, {"al", 5}, {"rbx", 0xb}};
  EvaluationScope scope_;
};

TEST_F(EvaluatorTest, Numbers) {
  EXPECT_EQ(Value("10"), 0x10u);
  EXPECT_EQ(Value("0n10"), 10u);
  EXPECT_EQ(Value("0t17"), 15u);
  EXPECT_EQ(Value("0y101"), 5u);
  EXPECT_EQ(Value("0x1F"), 0x1fu);
  EXPECT_EQ(Value("0x"), 0u);
  EXPECT_EQ(Value("0n"), 0u);
  EXPECT_EQ(Value("0ffh"), 0xffu);
  EXPECT_EQ(Value("fffff804`12345678"), 0xfffff80412345678u);
  scope_.radix = 10;
  EXPECT_EQ(Value("10"), 10u);
  EXPECT_EQ(Value("10h"), 16u);
  EXPECT_EQ(Value("0x10"), 16u);
  EXPECT_EQ(Value("beef"), 0x77u) << "not digits of the radix: a symbol";
  scope_.radix = 8;
  EXPECT_EQ(Value("17"), 15u);
  EXPECT_EQ(Failure("18"), "Syntax error at '18'");
}

TEST_F(EvaluatorTest, SignExtension) {
  EXPECT_EQ(Value("80000000"), 0x80000000u);
  scope_.sign_extend_32 = true;
  EXPECT_EQ(Value("80000000"), 0xffffffff80000000u);
  EXPECT_EQ(Value("7fffffff"), 0x7fffffffu);
  EXPECT_EQ(Value("0`80000000"), 0x80000000u);
  EXPECT_EQ(Value("000000080000000"), 0x80000000u) << "more than eight digits on a 64-bit target";
  EXPECT_EQ(Value("7fffffff+1"), 0x80000000u) << "results never extend";
  EXPECT_EQ(Value("@eax"), 0x80000001u);
  scope_.architecture = Architecture::kX86;
  EXPECT_EQ(Value("000000080000000"), 0xffffffff80000000u);
  EXPECT_EQ(Value("@eax"), 0xffffffff80000001u);
  EXPECT_EQ(Value("eax"), 0xffffffff80000001u);
}

TEST_F(EvaluatorTest, Precedence) {
  EXPECT_EQ(Value("2+3*4"), 14u);
  EXPECT_EQ(Value("(2+3)*4"), 20u);
  EXPECT_EQ(Value("[2+3]*4"), 20u);
  EXPECT_EQ(Value("0n17 mod 5"), 2u);
  EXPECT_EQ(Value("0n17 % 5 + 1"), 3u);
  EXPECT_EQ(Value("1 << 4 + 1"), 0x20u);
  EXPECT_EQ(Value("3 & 1 << 1"), 2u);
  EXPECT_EQ(Value("1 = 1 & 1"), 1u);
  EXPECT_EQ(Value("4 | 1 ^ 1"), 4u);
  EXPECT_EQ(Value("c and 5 or 2 xor 3"), 5u);
  EXPECT_EQ(Value("8-4-2"), 2u);
  EXPECT_EQ(Value("-1"), ~std::uint64_t{0});
  EXPECT_EQ(Value("8 - -4"), 12u);
  EXPECT_EQ(Value("-8 >>> 2"), static_cast<std::uint64_t>(-2));
  EXPECT_EQ(Value("-1 >> 3f"), 1u);
  EXPECT_EQ(Value("1 << 40"), 0u);
  EXPECT_EQ(Value("2>=2"), 1u);
  EXPECT_EQ(Value("2!=2"), 0u);
  EXPECT_EQ(Value("-1 > 1"), 1u) << "unsigned";
}

TEST_F(EvaluatorTest, UnaryWords) {
  EXPECT_EQ(Value("by(1001)"), 1u);
  EXPECT_EQ(Value("wo 1002"), 0x0302u);
  EXPECT_EQ(Value("dwo(1004)"), 0x07060504u);
  EXPECT_EQ(Value("qwo(1008)"), 0x0f0e0d0c0b0a0908u);
  EXPECT_EQ(Value("poi(1000)"), 0x0706050403020100u);
  EXPECT_EQ(Value("$pwo(2)"), 0x0302u);
  EXPECT_EQ(Value("$ppoi(0)"), 0x0706050403020100u);
  EXPECT_EQ(Value("hi(12345678)"), 0x1234u);
  EXPECT_EQ(Value("low 12345678"), 0x5678u);
  EXPECT_EQ(Value("not 0"), 1u);
  EXPECT_EQ(Value("not 5"), 0u);
  scope_.architecture = Architecture::kX86;
  EXPECT_EQ(Value("poi(1000)"), 0x03020100u);
}

TEST_F(EvaluatorTest, Names) {
  EXPECT_EQ(Value("nt!Foo+10"), 0xfffff80400001010u);
  EXPECT_EQ(Value("nt!Foo-1"), 0xfffff80400000fffu);
  EXPECT_EQ(Value("nt!"), 0xfffff80400000000u);
  EXPECT_EQ(Value("nt!A::B"), 0x55u);
  EXPECT_EQ(Value("@!\"nt!a<int>\""), 0x66u);
  EXPECT_EQ(Value("`drv.c:12`+1"), 0x89u);
  EXPECT_EQ(Value("beef"), 0xbeefu) << "number before symbol";
  EXPECT_EQ(Value("!beef"), 0x77u);
  EXPECT_EQ(Value("each"), 0x99u);
  EXPECT_EQ(Value("rax"), 0x123u) << "register before symbol: no module is loaded for it";
  EXPECT_EQ(Value("!rax"), 0x44u);
  EXPECT_EQ(Value("rbx"), 0xbu);
  EXPECT_EQ(Value("@rax"), 0x123u);
  EXPECT_EQ(Value(". + 1"), 0xfffff80400001235u);
  EXPECT_EQ(Value("@$t0*2"), 14u);
  EXPECT_EQ(Value("$t0"), 7u);
  EXPECT_EQ(Value("@@masm(1+1)*3"), 6u);
}

TEST_F(EvaluatorTest, Functions) {
  EXPECT_EQ(Value("$scmp(\"a\",\"b\")"), ~std::uint64_t{0});
  EXPECT_EQ(Value("$sicmp(\"Ab\", \"aB\")"), 0u);
  EXPECT_EQ(Value("$spat(\"KeBugCheck\", \"ke*\")"), 1u);
  EXPECT_EQ(Value("$vvalid(1000, 10)"), 1u);
  EXPECT_EQ(Value("$vvalid(900, 10)"), 0u);
  memory_.resize(0x100);
  memory_[0x3c] = std::byte{0x40};
  for (unsigned i = 0x3d; i < 0x40; ++i) memory_[i] = std::byte{0};
  memory_[0x68] = std::byte{0x21};
  for (unsigned i = 0x69; i < 0x6c; ++i) memory_[i] = std::byte{0};
  EXPECT_EQ(Value("$iment(1000)"), 0x1021u);
}

TEST_F(EvaluatorTest, Errors) {
  EXPECT_EQ(Failure("foo!bar"), "Couldn't resolve error at 'foo!bar'");
  EXPECT_EQ(Failure("1+nosuch + 2"), "Couldn't resolve error at 'nosuch + 2'");
  EXPECT_EQ(Failure("poi(0)"), "Memory access error at ')'");
  EXPECT_EQ(Failure("poi(0)+5"), "Memory access error at ')+5'");
  EXPECT_EQ(Failure("1/0"), "Divide by zero error");
  EXPECT_EQ(Failure("1 mod 0"), "Divide by zero error");
  EXPECT_EQ(Failure(""), "Numeric expression missing from ''");
  EXPECT_EQ(Failure("1+"), "Numeric expression missing from ''");
  EXPECT_EQ(Failure("(1"), "Syntax error at ''");
  EXPECT_EQ(Failure("1 2"), "Extra character error in '2'");
  EXPECT_EQ(Failure("*5"), "Syntax error at '*5'");
  EXPECT_EQ(Failure("@nosuch"), "Bad register error at '@nosuch'");
  EXPECT_EQ(Failure("fffffffffffffffff"), "Overflow error at 'fffffffffffffffff'");
  EXPECT_NE(Failure("@@c++(1)").find("not supported"), std::string::npos);
  EXPECT_NE(Failure("@@(1)").find("not supported"), std::string::npos);
}

TEST_F(EvaluatorTest, DepthIsBounded) {
  const std::string deep = std::string(100, '(') + "1" + std::string(100, ')');
  EXPECT_EQ(Value(deep), 1u);
  EXPECT_NE(Failure(std::string(5000, '(')).find("nested too deeply"), std::string::npos);
  EXPECT_NE(Failure(std::string(5000, '-')).find("nested too deeply"), std::string::npos);
}

TEST_F(EvaluatorTest, ConsumesOnlyTheExpression) {
  std::string_view text = "1000 + 4 L8; k";
  EXPECT_EQ(*EvaluateMasm(text, scope_), 0x1004u);
  EXPECT_EQ(text, " L8; k");
}

TEST_F(EvaluatorTest, Ranges) {
  struct Case {
    const char* text;
    unsigned size;
    std::uint64_t address, count;
    bool has_address, has_count;
    const char* rest;
  };
  const Case cases[] = {{"", 1, 0, 0, false, false, ""},
                        {" ; k", 1, 0, 0, false, false, "; k"},
                        {"1000", 4, 0x1000, 0, true, false, ""},
                        {"1000 L8", 4, 0x1000, 8, true, true, ""},
                        {"1000 l 8", 4, 0x1000, 8, true, true, ""},
                        {"1000L8", 4, 0x1000, 8, true, true, ""},
                        {"1000 L8 41 42", 1, 0x1000, 8, true, true, " 41 42"},
                        {"1000 1007", 1, 0x1000, 8, true, true, ""},
                        {"1000 1007", 4, 0x1000, 2, true, true, ""},
                        {"1000 L-20", 1, 0xfe0, 0x20, true, true, ""},
                        {"1000 L-4", 8, 0xfe0, 4, true, true, ""},
                        {"1000 L?20000000", 1, 0x1000, 0x20000000, true, true, ""},
                        {"1000 L10000000", 1, 0x1000, 0x10000000, true, true, ""},
                        {"L20", 1, 0, 0x20, false, true, ""},
                        {"%1000 L2", 1, 0x1000, 2, true, true, ""},
                        {"&1234:10", 1, 0x12350, 0, true, false, ""},
                        {"nt!Foo L@$t0", 1, 0xfffff80400001000, 7, true, true, ""}};
  for (const Case& test : cases) {
    std::string_view text = test.text;
    const Result<AddressRange> range = ParseRange(text, test.size, scope_);
    ASSERT_TRUE(range) << test.text << ": " << range.error().message;
    EXPECT_EQ(range->address, test.address) << test.text;
    EXPECT_EQ(range->count, test.count) << test.text;
    EXPECT_EQ(range->has_address, test.has_address) << test.text;
    EXPECT_EQ(range->has_count, test.has_count) << test.text;
    EXPECT_EQ(text, test.rest) << test.text;
  }
  for (const char* bad : {"1000 L10000001", "1000 fff", "1000 20000000"}) {
    std::string_view text = bad;
    const Result<AddressRange> range = ParseRange(text, 1, scope_);
    ASSERT_FALSE(range) << bad;
    EXPECT_EQ(range.error().message, "^ Range error in '" + std::string(bad) + "'");
  }
  std::string_view text = "1000 L4000001";
  EXPECT_FALSE(ParseRange(text, 4, scope_)) << "the limit counts bytes";
}

}  // namespace
}  // namespace longwire
