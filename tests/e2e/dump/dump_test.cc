#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "proto/kd/bytes.h"
#include "proto/kd/context.h"
#include "tests/support/child_process.h"
#include "tests/support/debug_session.h"
#include "tests/support/kdsrv_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr std::size_t kHeader = 0x2000;

std::uint64_t PageTables(Target& target) {
  const kd::RegisterField* cr3 = kd::FindSpecialRegister(kd::Machine::kAmd64, "cr3");
  const auto special = target.ReadControlSpace(0, 2, 0xE0);
  return special ? kd::Load64(*special, cr3->offset) : 0;
}

/// A full dump of a halted machine (engine.md 1.2, 1.4): what a crash would have written, from outside.
kd::Bytes FullDump(Target& target, const std::string& memory_file) {
  kd::Bytes dump(kHeader + TestMachine::kPhysicalMemory);
  const auto put32 = [&](std::size_t at, std::uint32_t value) { kd::Store(std::span(dump), at, value); };
  const auto put64 = [&](std::size_t at, std::uint64_t value) { kd::Store(std::span(dump), at, value); };
  for (std::size_t at = 0; at < kHeader; at += 4) put32(at, 0x45474150);
  put32(4, 0x34365544);
  const rpc::TargetDescription& description = *target.description();
  put32(8, description.major_version);
  put32(0xC, description.minor_version);
  put64(0x10, PageTables(target));
  put64(0x20, description.loaded_module_list);
  put32(0x30, description.machine);
  put32(0x34, description.processors);
  put32(0x38, 0xE2);
  put64(0x80, description.debugger_data_address);
  put32(0x88, 1);
  put64(0x90, TestMachine::kPhysicalMemory / 4096);
  put64(0x98, 0);
  put64(0xA0, TestMachine::kPhysicalMemory / 4096);
  const auto context = target.ReadContext(target.stop()->processor);
  if (context) std::copy(context->begin(), context->end(), dump.begin() + 0x348);
  put32(0xF98, 1);
  put32(0x1048, 0);
  std::ifstream file(memory_file, std::ios::binary);
  file.read(reinterpret_cast<char*>(dump.data() + kHeader), TestMachine::kPhysicalMemory);
  return dump;
}

class Dump : public testing::TestWithParam<char> {
 protected:
  void SetUp() override {
    TestMachineOptions options;
    options.variant = GetParam();
    std::string error;
    machine_ = TestMachine::Start(options, &error);
    ASSERT_TRUE(machine_) << error;
    symbols_.symbol_path = machine_->symbol_directory();
    live_ = DebugSession::Open("com:pipe,port=" + machine_->socket_path(), symbols_, &error);
    ASSERT_TRUE(live_) << error;
    ASSERT_TRUE(machine_->SavePhysicalMemory(directory_.File("memory")));
    const kd::Bytes dump = FullDump(live_->target(), directory_.File("memory"));
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(dump.data()), static_cast<std::streamsize>(dump.size()));
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.File("crash.dmp");
  SessionOptions symbols_;
  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<DebugSession> live_;
};

TEST_P(Dump, ShowsWhatTheLiveMachineShows) {
  std::string error;
  const auto dump = DebugSession::Open("dump:file=" + path_, symbols_, &error);
  ASSERT_TRUE(dump) << error;
  for (const char* command : {"lm", "k", "r", "!process 0 0", "u nt", "db nt L40", "!thread"}) {
    const CommandCost live = live_->Run(command), dead = dump->Run(command);
    EXPECT_EQ(dead.text, live.text) << command;
    EXPECT_EQ(dead.error, live.error) << command;
  }
  EXPECT_THAT(dump->Run("lm").text, HasSubstr("hal  "));
  EXPECT_THAT(dump->Run(".bugcheck").text, HasSubstr("000000E2"));
}

TEST_P(Dump, NeitherRunsNorChanges) {
  std::string error;
  const auto dump = DebugSession::Open("dump:file=" + path_, symbols_, &error);
  ASSERT_TRUE(dump) << error;
  for (const char* command : {"g", "t", "eb nt 0", "bp nt"}) {
    EXPECT_THAT(dump->Run(command).error, HasSubstr("crash dump")) << command;
  }
  EXPECT_THAT(dump->Run(".ctrl d").error, HasSubstr("only the packets of KD links"));
  EXPECT_EQ(dump->Run("~1s").error, "");
  EXPECT_THAT(dump->Run("t").error, HasSubstr("crash dump"));
  EXPECT_THAT(dump->Run("db nt L2").text, HasSubstr("4d 5a"));
}

TEST_P(Dump, IsATargetOfAnotherMachinesServer) {
  KdsrvProcess server(KDSRV_PATH, "dumpsecret");
  ASSERT_NE(server.port(), 0);
  ChildProcess kd({KD_PATH, "-kqm", "-k", server.KernelStringFor("dump:file=" + path_), "-y",
                   symbols_.symbol_path, "-c", "lm;k;q"});
  EXPECT_EQ(kd.Wait(std::chrono::seconds(60)), 0) << kd.error();
  EXPECT_THAT(kd.out(), HasSubstr("BugCheck E2"));
  EXPECT_THAT(kd.out(), HasSubstr("nt!DbgBreakPointWithStatus"));
}

INSTANTIATE_TEST_SUITE_P(Kernels, Dump, testing::Values('a', 'b'));

/// A triage dump of a machine nobody here owns, when it is at hand (engine.md 0.2).
TEST(SharedDump, ATriageDumpListsItsDriversAndStack) {
  const std::string path = std::filesystem::weakly_canonical(LW_SHARED_DATA) / "triage_arm64.dmp";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the dump is not here";
  ChildProcess kd({KD_PATH, "-z", path, "-c", "lm;.bugcheck;k;q"});
  EXPECT_EQ(kd.Wait(std::chrono::seconds(60)), 0) << kd.error();
  EXPECT_THAT(kd.out(), HasSubstr("Version 22000 MP (8 procs) Free ARM 64-bit (AArch64)"));
  EXPECT_THAT(kd.out(), HasSubstr("BugCheck 1C8, {1b58, fffff803f3a20860, 0, 0}"));
  EXPECT_THAT(kd.out(), HasSubstr("nt+0x4de014"));
  EXPECT_THAT(kd.out(), HasSubstr("WdFilter   (deferred)"));
  EXPECT_THAT(kd.out(), HasSubstr("Unloaded modules:"));
}

TEST(DumpErrors, WhatIsNoDumpIsNamed) {
  TemporaryDirectory directory;
  directory.Write("text.dmp", "hello");
  directory.Write("mini.dmp", std::string("MDMP\x93\xA7", 6));
  const auto error_of = [](const std::string& path) {
    ChildProcess kd({KD_PATH, "-z", path, "-c", "q"});
    EXPECT_NE(kd.Wait(std::chrono::seconds(60)).value_or(0), 0);
    return kd.error();
  };
  EXPECT_THAT(error_of(directory.File("text.dmp")), HasSubstr("text.dmp: this is not a crash dump"));
  EXPECT_THAT(error_of(directory.File("mini.dmp")),
              HasSubstr("mini.dmp: the minidump is cut inside its header"));
  EXPECT_THAT(error_of(directory.File("nothing.dmp")), HasSubstr("No such file"));
}

}  // namespace
}  // namespace longwire::test
