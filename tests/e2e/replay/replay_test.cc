#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/replay/recorded_session.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_machine.h"

namespace longwire::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr std::chrono::seconds kLimit{60};

struct Outcome {
  std::string out, error;
  int exit_code = -1;
};

Outcome RunKd(const std::string& kernel, const std::string& symbols, const std::string& commands) {
  ChildProcess kd({KD_PATH, "-kqm", "-bonc", "-k", kernel, "-y", symbols, "-c", commands});
  const auto code = kd.Wait(kLimit);
  return {kd.out(), kd.error(), code.value_or(-1)};
}

/// What a session shows behind the line that names its link.
std::string Shown(const Outcome& outcome) {
  const std::size_t line = outcome.out.find("Connected to ");
  const std::size_t end = outcome.out.find('\n', line);
  return end == std::string::npos ? std::string() : outcome.out.substr(end);
}

class Replay : public testing::Test {
 protected:
  /// A session with the test machine through kdsrv --record.
  Outcome Record(const std::string& commands) {
    std::string error;
    machine_ = TestMachine::Start({}, &error);
    if (!machine_) return {"", error, -1};
    const std::string pipe = "lw-replay-" + std::to_string(::getpid());
    ChildProcess server({KDSRV_PATH, "-v", "-t", "npipe:pipe=" + pipe, "--record", directory_.path()});
    if (!server.WaitFor("listening on")) return {"", server.error(), -1};
    Outcome outcome = RunKd("kdsrv:server=@{npipe:server=.,pipe=" + pipe +
                                "},trans=@{com:pipe,port=" + machine_->socket_path() + "}",
                            machine_->symbol_directory(), commands);
    server.Signal(SIGTERM);
    server.Wait();
    return outcome;
  }
  std::string RecordedFile() const {
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) return entry.path();
    return "";
  }

  TemporaryDirectory directory_;
  std::unique_ptr<TestMachine> machine_;
};

TEST_F(Replay, ARecordedSessionShowsTheSameAgainWithoutItsTarget) {
  const std::string commands = "lm;r;k;bp lwdemo!DemoLeaf;g;k;t;r;!process 0 0;dt nt!_KPRCB Number;q";
  const Outcome live = Record(commands);
  ASSERT_EQ(live.exit_code, 0) << live.error;
  ASSERT_THAT(live.out, HasSubstr("Breakpoint 0 hit"));
  const std::string symbols = machine_->symbol_directory();
  machine_.reset();
  const Outcome replayed = RunKd("replay:file=" + RecordedFile(), symbols, commands);
  EXPECT_EQ(replayed.exit_code, 0) << replayed.error;
  EXPECT_EQ(Shown(replayed), Shown(live));
}

TEST_F(Replay, WhatWasNotRecordedIsAnErrorAndNotAGuess) {
  ASSERT_EQ(Record("r;q").exit_code, 0);
  const Outcome replayed =
      RunKd("replay:file=" + RecordedFile(), machine_->symbol_directory(), "db nt+4000 L10;q");
  EXPECT_THAT(replayed.out, ContainsRegex("`[0-9a-f]+  \\?\\? \\?\\?"));
}

TEST_F(Replay, TheEndOfTheRecordingIsNamed) {
  ASSERT_EQ(Record("r;q").exit_code, 0);
  const Outcome replayed = RunKd("replay:file=" + RecordedFile(), machine_->symbol_directory(), "r;g;q");
  EXPECT_THAT(replayed.out + replayed.error, HasSubstr("the recording ends here"));
}

TEST_F(Replay, ARecordingIsItsOwnersAloneAndHoldsWholePackets) {
  ASSERT_EQ(Record("lm;q").exit_code, 0);
  struct stat info {};
  ASSERT_EQ(::stat(RecordedFile().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto session = ReadRecording(RecordedFile());
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_GT(session->packets(), 10u);
}

TEST(ReplayErrors, AMissingOrForeignFileIsNamed) {
  Outcome outcome = RunKd("replay:file=/nowhere/at/all.jsonl", "", "q");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.error, HasSubstr("/nowhere/at/all.jsonl"));
  TemporaryDirectory directory;
  directory.Write("text", "hello\nworld\n");
  outcome = RunKd("replay:file=" + directory.File("text"), "", "q");
  EXPECT_THAT(outcome.error, HasSubstr("line 1: a line of the recording is not a JSON object"));
}

/// Recordings of a kernel nobody here wrote, when they are at hand.
class ForeignCapture : public testing::TestWithParam<const char*> {};

TEST_P(ForeignCapture, PlaysFromBootToItsEnd) {
  const std::string path = std::filesystem::weakly_canonical(LW_SHARED_CAPTURES) / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the recordings are not here";
  const Outcome outcome = RunKd("replay:file=" + path, "", "version;r;g;r;g;g;g;g;g;g;g;g;g;g;g;g;g;g;g;q");
  EXPECT_THAT(outcome.out, HasSubstr("ReactOS 0.4.6 (Build 20261120-rUNKNOWN)"));
  EXPECT_THAT(outcome.out, HasSubstr("Kernel Version 3790 UP Checked x86 compatible"));
  EXPECT_THAT(outcome.out, HasSubstr("eip=809694b4 esp=80a09c44 ebp=80a09c78"));
  EXPECT_THAT(outcome.out + outcome.error, HasSubstr("the recording ends here"));
  EXPECT_THAT(outcome.error, Not(HasSubstr("internal error")));
}
INSTANTIATE_TEST_SUITE_P(Recordings, ForeignCapture,
                         testing::Values("foreign-i386-session.jsonl", "foreign-i386-retransmission.jsonl"));

/// What the recording of a 32-bit kernel holds at its first break-in: registers, 42 modules, a page of the
/// kernel, some code.
TEST(ForeignSession, A32BitKernelIsShownAsFarAsItWasRecorded) {
  const std::string path =
      std::filesystem::weakly_canonical(LW_SHARED_CAPTURES) / "foreign-i386-session.jsonl";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the recordings are not here";
  const Outcome outcome = RunKd("replay:file=" + path, "",
                                "g;r;k;lm;db nt L10;dd nt L2;u eip L1;r cr3;r cr4;? nt;bp 80896fc5;g;q");
  for (const char* line :
       {"eax=00000001 ebx=80a09ca8 ecx=80a14850 edx=00000000 esi=ffdff120 edi=000249c0",
        "80a09c78 00000000 nt+0x1694b4", "80800000 80a55000   nt ", "f9df5000 f9e13000   afd ",
        "80800000  4d 5a 90 00 03 00 00 00-04 00 00 00 ff ff 00 00  MZ", "80800000  00905a4d 00000003",
        "809694b4 cc              int     3", "cr3=005de000", "cr4=00000618",
        "Evaluate expression: -2139095040 = 80800000", "Breakpoint 0 hit"})
    EXPECT_THAT(outcome.out, HasSubstr(line));
  EXPECT_THAT(outcome.out, HasSubstr("WARNING: Stack unwind information not available."));
  EXPECT_THAT(outcome.out, Not(HasSubstr("`80")));
}

}  // namespace
}  // namespace longwire::test
