// Stubs that lack something, or refuse it, over a line that is sound.
#include "tests/unit/server_gdbstub/stub_bench.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kCode = ScriptedStub::kCode;

class PoorStub : public StubBench {
 protected:
  /// An answer to the payload that begins so.
  void Answer(const std::string& payload, const std::string& answer) {
    stub.instead = [=](std::string_view asked) {
      return asked.starts_with(payload) ? std::optional(answer) : std::nullopt;
    };
  }
};

TEST_F(PoorStub, NothingIsMissing) {
  OpenHalted();
  EXPECT_EQ(target.stop()->program_counter, kCode);
  EXPECT_EQ(target.stop()->processors, 2u);
  EXPECT_EQ(stub.acknowledges, 2) << "the last is that of the OK to QStartNoAckMode";
}

TEST_F(PoorStub, NoDescriptionOfItsRegisters) {
  Answer("qXfer", "");
  Open();
  ExpectTold(Errc::kUnsupported, "does not describe its registers (target.xml)", "QEMU's (-gdb tcp::1234)");
  EXPECT_EQ(std::get<Error>(Read(kCode, 16)).code, Errc::kTargetOffline);
  const std::size_t asked = stub.heard.size();
  Run(Seconds(60));
  EXPECT_EQ(stub.heard.size(), asked) << "what it lacks does not come";
}

TEST_F(PoorStub, AnErrorInsteadOfAnAnswer) {
  const struct {
    const char *payload, *answer;
    Errc code;
    const char *cause, *next;
  } kCases[] = {
      {"qXfer", "E01", Errc::kUnsupported, "does not describe its registers", "use one that does"},
      {"qfThreadInfo", "E01", Errc::kMalformed, "no thread list", "check that the link leads"},
      {"qfThreadInfo", "l", Errc::kMalformed, "has no processors", "check that the link leads"},
      {"qfThreadInfo", "mxyz", Errc::kMalformed, "a thread without a name", "check that the link leads"},
      {"?", "E01", Errc::kMalformed, "no stop reply", "check that the link leads"},
      {"Hg", "E22", Errc::kTargetRefused, "refused to choose a processor", "check that the link leads"},
      {"g", "E01", Errc::kTargetRefused, "refused to give the registers", "check that the link leads"},
  };
  for (const auto& one : kCases) {
    SCOPED_TRACE(std::string(one.payload) + " " + one.answer);
    events.clear();
    Answer(one.payload, one.answer);
    Open();
    ExpectTold(one.code, one.cause, one.next);
    target.Lost(now, Error{Errc::kLinkFailed, "closed"});
  }
}

TEST_F(PoorStub, AnUnknownMachine) {
  Answer("qXfer", "l<target><architecture>m68k</architecture></target>");
  Open();
  ExpectTold(Errc::kUnsupported, "'m68k'", "x86-64, i386 and aarch64 are");
}

TEST_F(PoorStub, NoVCont) {
  stub.knows_vcont = false;
  OpenHalted();
  EXPECT_TRUE(std::holds_alternative<rpc::Done>(Go(true)));
  EXPECT_EQ(stub.Count("Hc01"), 1u);
  EXPECT_EQ(stub.Count("s"), 1u);
  ASSERT_EQ(target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(target.stop()->program_counter, kCode + 1);
  EXPECT_TRUE(std::holds_alternative<rpc::Done>(Go()));
  EXPECT_EQ(stub.Count("Hc-1"), 1u);
  EXPECT_TRUE(stub.running);
  EXPECT_EQ(target.state(), rpc::TargetState::kRunning);
  (void)Ask(rpc::BreakIn{});
  EXPECT_EQ(stub.interrupts, 1);
  EXPECT_EQ(target.state(), rpc::TargetState::kHalted);
  for (const std::string& payload : stub.heard) EXPECT_FALSE(payload.starts_with("vCont;")) << payload;
}

TEST_F(PoorStub, AnotherProcessorStepsAlone) {
  for (const bool knows_vcont : {true, false}) {
    stub.knows_vcont = knows_vcont;
    OpenHalted();
    ASSERT_EQ(target.stop()->processor, 0u);
    rpc::Resume resume;
    resume.stop_counter = target.stop()->stop_counter;
    resume.driver_epoch = 1;
    resume.step = true;
    resume.processor = 2;
    EXPECT_TRUE(std::holds_alternative<Error>(Ask(resume))) << "there is no such processor";
    ASSERT_EQ(target.state(), rpc::TargetState::kHalted);
    resume.processor = 1;
    stub.stepped_thread = "02";
    EXPECT_TRUE(std::holds_alternative<rpc::Done>(Ask(resume)));
    EXPECT_EQ(stub.Count("vCont;s:02"), knows_vcont ? 1u : 0u);
    EXPECT_EQ(stub.Count("Hc02"), knows_vcont ? 0u : 1u);
    ASSERT_EQ(target.state(), rpc::TargetState::kHalted);
    EXPECT_EQ(target.stop()->processor, 1u);
    EXPECT_EQ(target.stop()->exception.code, 0x80000004u);
    target.Lost(now, Error{Errc::kLinkFailed, "the next round"});
  }
}

TEST_F(PoorStub, ARunThatIsRefusedLeavesTheTargetStopped) {
  OpenHalted();
  for (const char* refusal : {"", "E01"}) {
    events.clear();
    Answer("vCont;", refusal);
    (void)Go();
    ASSERT_EQ(target.state(), rpc::TargetState::kHalted) << "'" << refusal << "'";
    const auto said = std::find_if(events.begin(), events.end(), [](const rpc::Event& event) {
      return std::holds_alternative<rpc::Output>(event);
    });
    ASSERT_NE(said, events.end());
    EXPECT_THAT(std::get<rpc::Output>(*said).text, HasSubstr("refused to let the target run"));
  }
  stub.instead = {};
  (void)Go();
  EXPECT_EQ(target.state(), rpc::TargetState::kRunning);
}

TEST_F(PoorStub, ARefusedRunAtTheAttachIsAStop) {
  Answer("vCont;", "E01");
  target.SetDriver(now, 1, true);
  target.Opened(now);
  Run();
  EXPECT_EQ(target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(stub.Count("vCont;c"), 1u);
}

TEST_F(PoorStub, RegistersRefusedAtAStopAreTold) {
  OpenHalted();
  (void)Go();
  Answer("g", "E01");
  (void)Ask(rpc::BreakIn{});
  ExpectTold(Errc::kTargetRefused, "refused to give the registers", "check that the link leads");
}

TEST_F(PoorStub, TheThreadOfAStopIsItsProcessor) {
  stub.thread_answers = {"mp1.1", "mp1.2,p1.a", "l"};
  OpenHalted();
  const std::pair<const char*, std::uint32_t> kStops[] = {{"T05thread:p01.02;", 1},
                                                          {"T05thread:p01.0A;", 2},
                                                          {"T05thread:02;", 1},
                                                          {"T05thread:p2.2;", 0},
                                                          {"S05", 0}};
  for (const auto& [reply, processor] : kStops) {
    (void)Go();
    ASSERT_EQ(target.state(), rpc::TargetState::kRunning);
    stub.Stop(reply);
    Run();
    ASSERT_EQ(target.state(), rpc::TargetState::kHalted) << reply;
    EXPECT_EQ(target.stop()->processor, processor) << reply;
  }
}

TEST_F(PoorStub, ThreadsComeInManyAnswers) {
  stub.thread_answers.clear();
  for (int i = 1; i <= 40; ++i)
    stub.thread_answers.push_back("m" + std::to_string(2 * i) + "," + std::to_string(2 * i + 1));
  OpenHalted();
  EXPECT_EQ(target.stop()->processors, 80u);
  EXPECT_TRUE(std::holds_alternative<rpc::Bytes>(Ask(rpc::GetContext{79})));
  EXPECT_EQ(stub.Count("Hg81"), 1u);
}

TEST_F(PoorStub, AListOfThreadsWithoutAnEndHasOne) {
  stub.thread_answers.assign(10'000, "m1,2,3");
  OpenHalted();
  EXPECT_EQ(target.stop()->processors, 256u);
}

TEST_F(PoorStub, MemoryThatEndsInTheMiddle) {
  OpenHalted();
  // The stub refuses every range that reaches into the absent page behind.
  const rpc::Answer read = Read(kCode + 0x7F0, 0x2000);
  ASSERT_TRUE(std::holds_alternative<rpc::MemoryRead>(read)) << MessageOf(read);
  EXPECT_EQ(std::get<rpc::MemoryRead>(read).sizes.at(0), 0x810u);
  EXPECT_EQ(bulk, kd::Bytes(0x810, std::byte{0x90}));
  const rpc::Answer none = Read(kCode + 0x1000, 16);
  ASSERT_TRUE(std::holds_alternative<rpc::MemoryRead>(none)) << MessageOf(none);
  EXPECT_EQ(std::get<rpc::MemoryRead>(none).sizes.at(0), 0u);
}

TEST_F(PoorStub, FewerAndMoreBytesThanWereAsked) {
  OpenHalted();
  Answer("m", "9090");
  const rpc::Answer few = Read(kCode, 7);
  ASSERT_TRUE(std::holds_alternative<rpc::MemoryRead>(few)) << MessageOf(few);
  EXPECT_EQ(std::get<rpc::MemoryRead>(few).sizes.at(0), 6u) << "the last two do not fit behind six";
  for (const char* answer : {"909", "zz", "E.no memory here"}) {
    Answer("m", answer);
    const rpc::Answer none = Read(kCode, 16);
    ASSERT_TRUE(std::holds_alternative<rpc::MemoryRead>(none)) << MessageOf(none);
    EXPECT_EQ(std::get<rpc::MemoryRead>(none).sizes.at(0), 0u) << answer;
  }
}

}  // namespace
}  // namespace longwire::test
