#include "proto/diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "transport/doctor_run.h"
#include "transport/open_files.h"
#include "transport/recording_stream.h"

namespace longwire {
namespace {

using testing::HasSubstr;

TEST(Findings, AreListedInTheDocumentsWithTheirExitCodes) {
  std::ifstream file(LONGWIRE_SOURCE_DIR "/docs/errors.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  std::set<std::string_view> names;
  int last = 0;
  for (const FindingFacts& facts : AllFindings()) {
    const int number = static_cast<int>(facts.finding);
    EXPECT_GT(number, last) << facts.name;
    last = number;
    EXPECT_TRUE(names.insert(facts.name).second) << facts.name;
    EXPECT_FALSE(facts.next.empty()) << facts.name;
    EXPECT_THAT(document, HasSubstr("| LW-D" + std::to_string(number) + " | " + std::string(facts.name) +
                                    " | " + std::to_string(ExitCodeFor(facts.code)) + " | "));
  }
  EXPECT_EQ(FactsOf(Finding::kNone), nullptr);
}

TEST(Diagnosis, TellsStepsAsTheyComeAndEndsWithTheFirstFailure) {
  std::vector<std::string> told;
  Diagnosis diagnosis([&](const DiagnosedStep& step) { told.push_back(FormatStep(step)); });
  diagnosis.Ok(DoctorStep::kName, "lab is 10.0.0.5");
  EXPECT_EQ(diagnosis.exit_code(), 0);
  diagnosis.Fail(DoctorStep::kPort, Finding::kPortRefused, "nothing listens on lab port 5");
  diagnosis.SkipRest(DoctorStep::kPassword);
  ASSERT_EQ(told.size(), 5u);
  EXPECT_EQ(told[0], "ok       name        lab is 10.0.0.5");
  EXPECT_THAT(told[1],
              HasSubstr("FAILED   port        LW-D301 port-refused: nothing listens on lab port 5\n"));
  EXPECT_THAT(told[1], HasSubstr("\n                     next: start the server"));
  EXPECT_THAT(told[2], HasSubstr("skipped  route"));
  EXPECT_THAT(told[3], HasSubstr("skipped  tls"));
  EXPECT_EQ(diagnosis.exit_code(), 4);
  EXPECT_EQ(diagnosis.failure()->step, DoctorStep::kPort);
}

TEST(Diagnosis, StepsOfAnotherProgramKeepTheirCodeEvenIfItIsNewer) {
  Diagnosis diagnosis;
  diagnosis.Add({DoctorStep::kDevice, StepOutcome::kFailed, "on fire", 7999, "device-burns", "put it out",
                 Errc::kLinkFailed});
  EXPECT_EQ(diagnosis.exit_code(), 6);
  EXPECT_THAT(FormatStep(*diagnosis.failure()), HasSubstr("LW-D7999 device-burns: on fire"));
  EXPECT_THAT(DiagnosisJson("x", diagnosis), HasSubstr(R"("failure":"LW-D7999","exit":6)"));
}

TEST(Diagnosis, CancelUndoesOnceAndEndsInterrupted) {
  Diagnosis diagnosis;
  int undone = 0;
  EXPECT_FALSE(diagnosis.Cancel());
  diagnosis.set_on_cancel([&] { ++undone; });
  EXPECT_TRUE(diagnosis.Cancel());
  EXPECT_FALSE(diagnosis.Cancel());
  EXPECT_EQ(undone, 1);
  EXPECT_EQ(diagnosis.exit_code(), 130);
}

TEST(Diagnosis, JsonSurvivesTextThatIsNotUtf8) {
  Diagnosis diagnosis;
  diagnosis.Ok(DoctorStep::kVersion, "bad \xff text\n");
  EXPECT_THAT(DiagnosisJson("t", diagnosis), HasSubstr(R"("exit":0)"));
}

TEST(OpenFiles, CountsAcceptedConnectionsOfOneSocketOnly) {
  const std::string table =
      "Num       RefCount Protocol Flags    Type St Inode Path\n"
      "0000: 00000002 00000000 00010000 0001 01 100 /run/vm.sock\n"
      "0000: 00000003 00000000 00000000 0001 03 101 /run/vm.sock\n"
      "0000: 00000003 00000000 00000000 0001 03 102 /run/vm.sock2\n"
      "0000: 00000003 00000000 00000000 0001 03 103\n";
  EXPECT_EQ(ConnectionsOfSocket(table, "/run/vm.sock"), 1u);
  EXPECT_EQ(ConnectionsOfSocket(table, "/run/other"), 0u);
  EXPECT_EQ(ConnectionsOfSocket("", "/run/vm.sock"), 0u);
}

TEST(RecordingStream, GuessesServices) {
  EXPECT_EQ(GuessService("HTTP/1.0 400"), "an HTTP server");
  EXPECT_EQ(GuessService("SSH-2.0-x"), "an SSH server");
  EXPECT_EQ(GuessService(std::string("\x15\x03\x01\x00\x02", 5)), "a TLS server");
  EXPECT_EQ(GuessService(""), "");
  EXPECT_EQ(GuessService("\x7f"), "");
}

}  // namespace
}  // namespace longwire
