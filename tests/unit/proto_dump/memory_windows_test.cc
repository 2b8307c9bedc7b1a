#include "proto/dump/memory_windows.h"

#include <gtest/gtest.h>

#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::dump::test {
namespace {

class Windows : public testing::Test {
 protected:
  Windows() : file_(Content()) {}
  static kd::Bytes Content() {
    kd::Bytes bytes(0x100);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
    return bytes;
  }
  std::string Read(std::uint64_t address, std::size_t size) {
    kd::Bytes out(size);
    out.resize(windows_.Read(file_, address, out));
    std::string text;
    for (const std::byte byte : out) text += std::to_string(std::to_integer<int>(byte)) + " ";
    return text;
  }
  MemoryFile file_;
  MemoryWindows windows_;
};

TEST_F(Windows, NeighboursReadAsOne) {
  windows_.Add(file_, 0x1004, 20, 4);
  windows_.Add(file_, 0x1000, 10, 4);
  windows_.Seal();
  EXPECT_EQ(Read(0x1002, 8), "12 13 20 21 22 23 ");
  EXPECT_EQ(Read(0x0FFF, 2), "");
  EXPECT_EQ(Read(0x1008, 2), "");
}

TEST_F(Windows, WhatWasAddedFirstCounts) {
  windows_.Add(file_, 0x1004, 40, 2);
  windows_.Add(file_, 0x1000, 10, 10);
  windows_.Add(file_, 0x1004, 60, 4);
  windows_.Seal();
  EXPECT_EQ(Read(0x1000, 16), "10 11 12 13 40 41 16 17 18 19 ");
}

TEST_F(Windows, WhatTheFileDoesNotHoldIsLeftOut) {
  EXPECT_FALSE(windows_.Add(file_, 0x1000, 0x100, 4));
  EXPECT_FALSE(windows_.Add(file_, ~std::uint64_t{0} - 1, 0, 8)) << "wraps around";
  EXPECT_TRUE(windows_.Add(file_, 0x2000, 0xFE, 8));
  windows_.Seal();
  EXPECT_EQ(Read(0x2000, 8), "254 255 ");
}

TEST_F(Windows, ManyOverlappingWindowsAreNoTrouble) {
  for (std::uint64_t i = 0; i < 20000; ++i) windows_.Add(file_, 0x1000 - i % 7, i % 200, 16);
  windows_.Seal();
  EXPECT_EQ(Read(0x1000, 1), "0 ");
}

}  // namespace
}  // namespace longwire::dump::test
