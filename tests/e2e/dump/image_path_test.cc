// A small dump leaves out most code; kd takes it from the image files of -i. Dump and image are written here,
// field by field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "proto/kd/context.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/proto_dump/dump_builder.h"

namespace longwire::test {
namespace {

using dump::test::DumpBuilder;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kBase = 0xFFFFF80012340000, kStack = 0xFFFF800000002000;
constexpr std::uint32_t kImageSize = 0x5000, kTimestamp = 0x5E000000;
/// Offsets in the image. The dump has code up to kAbsent; an instruction lies across.
constexpr std::uint32_t kCode = 0x1000, kCaller = 0x1800, kAbsent = 0x2000, kCallee = 0x2010, kData = 0x3000;

/// A triage dump whose processor stands in the callee; its stack holds the way back.
kd::Bytes SmallDump() {
  DumpBuilder builder(4);
  const kd::ContextLayout* layout = kd::FindContextLayout(kd::Machine::kAmd64);
  builder.Put32(0x38, 0xD1).Fill(0x348, layout->size, 0);
  builder.Put64(0x348 + layout->pc_offset, kBase + kCallee + 8);
  builder.Put64(0x348 + layout->sp_offset, kStack + 0x100);
  for (std::size_t at = 0x2000; at < 0x2080; at += 4) builder.Put32(at, 0);
  builder.Put32(0x2008, 0x3000).Text(0x3000, "TRGD");
  builder.Put32(0x2028, 0x2400).Put32(0x202C, 0x200).Put64(0x2048, kStack).Fill(0x2400, 0x200, 0);
  builder.Put64(0x2400 + 0x100 + 0x28, kBase + kCaller + 8);
  builder.Put32(0x2078, 0x2200).Put32(0x207C, 1);
  builder.Put64(0x2200, kBase + kAbsent - 0x40).Put32(0x2208, 0x2600).Put32(0x220C, 0x40);
  builder.Fill(0x2600, 0x40, 0x90).Text(0x2600 + 0x3E, "\xB8\x44");
  builder.Put32(0x2030, 0x2700).Put32(0x2034, 1).Fill(0x2700, 0x90, 0).Put32(0x2700, 0x2800);
  builder.Put64(0x2708 + 0x30, kBase).Put32(0x2708 + 0x40, kImageSize).Put32(0x2708 + 0x80, kTimestamp);
  builder.Put32(0x2800, 7).Text(0x2804, std::string_view("l\0a\0b\0.\0s\0y\0s\0\0\0", 16));
  return builder.bytes;
}

/// The driver's file: what lies at an offset is at the same place of the file. Where the dump has code, too,
/// this has other bytes.
kd::Bytes Image(std::uint32_t timestamp) {
  DumpBuilder file(4);
  file.bytes.assign(kImageSize, std::byte{0});
  constexpr std::size_t kHeader = 0x80, kOptional = kHeader + 24, kSections = kOptional + 240;
  file.Text(0, "MZ").Put32(0x3C, kHeader).Text(kHeader, "PE");
  file.Put16(kHeader + 4, 0x8664).Put16(kHeader + 6, 2).Put32(kHeader + 8, timestamp);
  file.Put16(kHeader + 20, 240).Put16(kOptional, 0x20B);
  file.Put64(kOptional + 24, 0x140000000).Put32(kOptional + 56, kImageSize).Put32(kOptional + 108, 16);
  constexpr std::size_t kExceptions = 3;
  file.Put32(kOptional + 112 + 8 * kExceptions, kData).Put32(kOptional + 116 + 8 * kExceptions, 24);
  const auto section = [&](std::size_t at, const char* name, std::uint32_t begin, std::uint32_t end,
                           std::uint32_t kind) {
    file.Text(at, name).Put32(at + 8, end - begin).Put32(at + 12, begin);
    file.Put32(at + 16, end - begin).Put32(at + 20, begin).Put32(at + 36, kind);
  };
  section(kSections, ".text", kCode, kData, 0x60000020);
  section(kSections + 40, ".rdata", kData, kImageSize, 0x40000040);
  file.Fill(kCode, kAbsent - kCode, 0xCC);
  file.Text(kAbsent, "\x33\x22\x11\x33\xC0\xC3");
  file.Text(kCallee, "\x48\x83\xEC\x28").Text(kCaller, "\x48\x83\xEC\x38");
  // Runtime functions and their unwind codes: 28 and 38 bytes of stack.
  constexpr std::uint32_t kUnwind = kData + 0x100;
  file.Put32(kData, kCaller).Put32(kData + 4, kCaller + 0x20).Put32(kData + 8, kUnwind);
  file.Put32(kData + 12, kCallee).Put32(kData + 16, kCallee + 0x20).Put32(kData + 20, kUnwind + 8);
  file.Text(kUnwind, std::string_view("\1\4\1\0\4\x62", 6));
  file.Text(kUnwind + 8, std::string_view("\1\4\1\0\4\x42", 6));
  return file.bytes;
}

class ImagePath : public testing::Test {
 protected:
  ImagePath() {
    std::filesystem::create_directory(images_);
    Write(path_, SmallDump());
    Write(images_ + "/lab.sys", Image(kTimestamp));
  }
  static void Write(const std::string& path, const kd::Bytes& bytes) {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::string Open(const std::string& commands, bool images) const {
    std::vector<std::string> words = {KD_PATH, "-z", path_, "-c", commands + ";q"};
    if (images) words.insert(words.end(), {"-i", images_});
    ChildProcess kd(words);
    EXPECT_EQ(kd.Wait(std::chrono::seconds(60)), 0) << kd.both();
    return kd.out();
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("small.dmp"), images_ = directory_.File("images");
};

constexpr char kAcross[] = "u fffff800`12341ffc L5";

TEST_F(ImagePath, CodeGoesOnWhereTheDumpEnds) {
  const std::string text = Open(kAcross, true);
  EXPECT_THAT(text, HasSubstr("fffff800`12341ffd 90              nop\n")) << "the dump's own comes first";
  EXPECT_THAT(text, HasSubstr("fffff800`12341ffe b844332211      mov     eax,11223344h\n"));
  EXPECT_THAT(text, HasSubstr("fffff800`12342003 33c0            xor     eax,eax\n"));
  EXPECT_THAT(text, HasSubstr("fffff800`12342005 c3              ret\n"));
  EXPECT_THAT(text, Not(HasSubstr("???")));
}

TEST_F(ImagePath, WithoutImagesCodeEndsWithTheDump) {
  const std::string text = Open(kAcross, false);
  EXPECT_THAT(text, HasSubstr("fffff800`12341ffd 90              nop\n"));
  EXPECT_THAT(text, HasSubstr("fffff800`12341ffe b8              ???\n"));
  EXPECT_THAT(text, HasSubstr("fffff800`12342000 ??              ???\n"));
  EXPECT_THAT(text, Not(HasSubstr("11223344")));
}

TEST_F(ImagePath, AnotherBuildOfTheImageIsNotTaken) {
  Write(images_ + "/lab.sys", Image(kTimestamp + 1));
  const std::string text = Open(kAcross, true);
  EXPECT_THAT(text, HasSubstr("???"));
  EXPECT_THAT(text, Not(HasSubstr("11223344")));
}

TEST_F(ImagePath, DataIsNotTakenFromIt) {
  const std::string text = Open("db fffff800`12342000 L3;db fffff800`12343000 L3", true);
  EXPECT_THAT(text, HasSubstr("fffff800`12342000  33 22 11 "));
  EXPECT_THAT(text, HasSubstr("fffff800`12343000  ?? ?? ?? "));
  EXPECT_THAT(Open("db fffff800`12342000 L3", false), HasSubstr("fffff800`12342000  ?? ?? ?? "));
}

TEST_F(ImagePath, StacksAreUnwoundWithIt) {
  const std::string text = Open("k", true);
  EXPECT_THAT(text, HasSubstr("lab+0x2018"));
  EXPECT_THAT(text, HasSubstr("fffff800`12341808"));
  EXPECT_THAT(text, HasSubstr("lab+0x1808"));
  const std::string without = Open("k", false);
  EXPECT_THAT(without, HasSubstr("lab+0x2018"));
  EXPECT_THAT(without, Not(HasSubstr("lab+0x1808")));
}

}  // namespace
}  // namespace longwire::test
