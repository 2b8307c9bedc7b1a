// Dumps of other machines and of processes, written here field by field, opened by kd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "client/engine/machine.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/proto_dump/minidump_builder.h"

namespace longwire::test {
namespace {

using dump::test::DumpBuilder;
using dump::test::MinidumpBuilder;
using testing::ContainsRegex;
using testing::HasSubstr;

struct Outcome {
  std::string out, error;
  int exit_code = -1;
};

class ForeignDump : public testing::Test {
 protected:
  Outcome Open(const kd::Bytes& bytes, const std::string& commands,
               const std::vector<std::string>& options = {}) {
    const std::string path = directory_.File("foreign.dmp");
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return OpenFile(path, commands, options);
  }
  static Outcome OpenFile(const std::string& path, const std::string& commands,
                          const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {KD_PATH, "-z", path, "-c", commands + ";q"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    ChildProcess kd(arguments);
    const auto code = kd.Wait(std::chrono::seconds(60));
    return {kd.out(), kd.error(), code.value_or(-1)};
  }

  TemporaryDirectory directory_;
};

/// A full dump of a 32-bit machine: 16 pages from physical 0, mapped at 80000000.
class NarrowKernel : public ForeignDump, public testing::WithParamInterface<bool> {
 protected:
  static constexpr std::uint32_t kPages = 0x1000, kBase = 0x80000000;
  static constexpr std::uint32_t kModules = 0x4000, kStack = 0x5000, kCode = 0x6000;

  NarrowKernel() : builder_(DumpBuilder::Narrow(1)) {
    builder_.Put32(0x64, 1).Put32(0x68, 16).Put32(0x6C, 0).Put32(0x70, 16).Fill(kPages, 0x10000, 0);
    builder_.Put32(0x28, 0xD1).Put32(0x2C, 0x1234);
    Tables(GetParam());
    List();
    RegisterSet registers(Architecture::kX86, std::vector<std::byte>(0x2CC));
    registers.Set("eip", kBase + kCode + 0x40);
    registers.Set("esp", kBase + kStack + 0x10);
    registers.Set("ebp", kBase + kStack + 0x20);
    registers.Set("eax", 0xC0DE0001);
    for (std::size_t i = 0; i < 0x2CC; ++i)
      builder_.Fill(0x320 + i, 1, std::to_integer<std::uint8_t>(registers.context()[i]));
    Memory(kStack + 0x20, kBase + kStack + 0x40);
    Memory(kStack + 0x24, kBase + kCode + 0x15);
    builder_.Text(kPages + kCode + 0x10, std::string_view("\xE8\0\0\0\0", 5));
    builder_.Text(kPages + kCode + 0x40, std::string_view("\x33\xC0\x8B\x45\x08\xC3", 6));
  }

  void Memory(std::uint32_t physical, std::uint32_t value) { builder_.Put32(kPages + physical, value); }
  void Tables(bool pae) {
    constexpr std::uint32_t kTop = 0x1000, kMiddle = 0x2000, kLeaf = 0x3000;
    builder_.Put32(0x10, pae ? kTop + 0x20 : kTop).Fill(0x5C, 1, pae ? 1 : 0);
    if (pae) {
      Memory(kTop + 0x20 + 2 * 8, kMiddle | 1);
      Memory(kMiddle, kLeaf | 0x63);
      for (std::uint32_t page = 0; page < 16; ++page) Memory(kLeaf + page * 8, page << 12 | 0x63);
    } else {
      Memory(kTop + 0x200 * 4, kLeaf | 0x63);
      for (std::uint32_t page = 0; page < 16; ++page) Memory(kLeaf + page * 4, page << 12 | 0x63);
    }
  }
  void List() {
    builder_.Put32(0x18, kBase + kModules);
    Memory(kModules, kBase + kModules + 0x40);
    Memory(kModules + 0x40, kBase + kModules);
    Memory(kModules + 0x40 + 0x18, kBase + kCode);
    Memory(kModules + 0x40 + 0x20, 0x1000);
    Memory(kModules + 0x40 + 0x2C, 14 << 16 | 14);
    Memory(kModules + 0x40 + 0x30, kBase + kModules + 0x200);
    for (std::uint32_t i = 0; const char c : std::string("lab.sys"))
      builder_.Put16(kPages + kModules + 0x200 + 2 * i++, static_cast<unsigned char>(c));
  }

  DumpBuilder builder_;
};

TEST_P(NarrowKernel, IsShownThroughItsPageTables) {
  const Outcome outcome =
      Open(builder_.bytes, ".bugcheck;lm;r;k;u eip L3;dd ebp L2;db 80010000 L4;dd 0xffffffff`80005020 L1");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  for (const char* text :
       {"x86 compatible", "80006000 80007000   lab ", "eax=c0de0001",
        "eip=80006040 esp=80005010 ebp=80005020", "WARNING: Stack unwind information not available.",
        "80005020 80006015 lab+0x40", "80006042 8b4508          mov     eax,dword ptr [ebp+8]",
        "80005020  80005040 80006015", "80010000  ?? ?? ?? ??", "80005020  80005040\n"})
    EXPECT_THAT(outcome.out, HasSubstr(text));
  EXPECT_THAT(outcome.out, HasSubstr("D1"));
}
INSTANTIATE_TEST_SUITE_P(Paging, NarrowKernel, testing::Bool());

constexpr std::uint64_t kStack = 0x18F000, kCode = 0x7FF61000;

MinidumpBuilder Process(kd::Machine machine) {
  MinidumpBuilder builder(machine);
  kd::Bytes stack(0x100);
  kd::Store(std::span(stack), 8, std::uint64_t{0x1122334455667788});
  builder.Threads({{0x10, 0x7FFDE000, kStack, stack, builder.Context(kCode, kStack + 8)},
                   {0x20, 0x7FFDD000, kStack + 0x1000, kd::Bytes(0x20, std::byte{0x22}),
                    builder.Context(kCode + 4, kStack + 0x1008)}});
  builder.Modules({{kCode, 0x5000, 0x4CE7, "C:\\work\\lab.exe"}});
  builder.Memory({{kCode, kd::Bytes(0x40, std::byte{0x90})}, {0x500080, kd::Bytes(8, std::byte{0x33})}});
  builder.Exception(0x20, 0xC0000005, kCode + 8, builder.Context(kCode + 8, kStack + 0x1010));
  return builder;
}

TEST_F(ForeignDump, AMinidumpOfAProcessHasThreads) {
  const Outcome outcome =
      Open(Process(kd::Machine::kAmd64).file().bytes,
           "~;r rip;lm;db 500080 L10;db 500070 L4;~0s;r rip;dq rsp L1;u rip L1;? $tid;? $tpid");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  for (const char* text :
       {"Windows 7 Version 7601 (Service Pack 1) MP (2 procs) Free x64", "  0  Id: 5fc.10 Suspend: 1 Teb: ",
        ". 1  Id: 5fc.20 Suspend: 1 Teb: 00000000`7ffdd000", "rip=000000007ff61008",
        "00000000`7ff61000 00000000`7ff66000   lab ", "00000000`00500080  33 33 33 33 33 33 33 33-?? ?? ",
        "00000000`00500070  ?? ?? ?? ??", "rip=000000007ff61000", "00000000`0018f008  11223344`55667788",
        "00000000`7ff61000 90 ", "= 00000000`00000010", "= 00000000`000005fc"})
    EXPECT_THAT(outcome.out, HasSubstr(text));
}

TEST_F(ForeignDump, MinidumpsOfOtherMachinesShowTheirRegisters) {
  const Outcome narrow = Open(Process(kd::Machine::kX86).file().bytes, "r;u eip L1;k;lm;? 80000000");
  EXPECT_THAT(narrow.out, HasSubstr("eip=7ff61008 esp=00190010"));
  EXPECT_THAT(narrow.out, HasSubstr("7ff61008 90              nop"));
  EXPECT_THAT(narrow.out, HasSubstr("7ff61000 7ff66000   lab "));
  EXPECT_THAT(narrow.out, HasSubstr("= 80000000")) << "user mode: no sign extension";
  EXPECT_THAT(narrow.out, HasSubstr("Evaluate expression: 2147483648"));
  const Outcome arm = Open(Process(kd::Machine::kArm64).file().bytes, "r;lm;k");
  EXPECT_THAT(arm.out, HasSubstr("pc=000000007ff61008"));
  EXPECT_THAT(arm.out, HasSubstr("lab+0x8"));
}

TEST_F(ForeignDump, ACutMinidumpIsShownAndSaidToBeCut) {
  kd::Bytes bytes = Process(kd::Machine::kAmd64).file().bytes;
  bytes.resize(0x20 + 16 * 12 + 0x40);
  const Outcome outcome = Open(bytes, "r");
  EXPECT_NE(outcome.exit_code, 0);
  EXPECT_THAT(outcome.error, HasSubstr("foreign.dmp: the minidump"));
}

TEST_F(ForeignDump, RealMinidumps) {
  const std::string path = std::filesystem::weakly_canonical(LW_SHARED_DATA) / "calc.mdmp";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the dump is not here";
  const Outcome outcome = OpenFile(path, "~;lm;r;k;~2s;r");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_THAT(outcome.out, HasSubstr("Version 7601"));
  EXPECT_THAT(outcome.out, ContainsRegex("\\. . +Id: [0-9a-f]+\\.65c "));
  EXPECT_THAT(outcome.out, HasSubstr("calc "));
  EXPECT_THAT(outcome.out, HasSubstr("ntdll"));
}

}  // namespace
}  // namespace longwire::test
