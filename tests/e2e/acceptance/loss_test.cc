#include <gmock/gmock.h>

#include <csignal>

#include "tests/e2e/acceptance/scene.h"

namespace longwire::test {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kProgramCounter = 0x18;  // of a state change (kd-protocol.md 3)

/// A search of 64 MiB takes many seconds over the line.
constexpr char kLongCommand[] = "s -b 0xffff800000000000 L?4000000 de ad be ef 99 88 77 66\n";

class AcceptanceLoss : public VariantScene {
 protected:
  void SetUp() override {
    StartServer();
    TestMachineOptions options;
    options.break_at_boot = true;
    machine_ = StartVariant(options);
    ASSERT_TRUE(machine_);
    ASSERT_NO_FATAL_FAILURE(LookAtTheCode());
    kd_ = AttachedKd(*machine_);
    kd_->Write(Named("bp DEMO!DemoLeaf\nbp nt!KeBugCheckEx\ng\n"));
    ASSERT_TRUE(kd_->WaitFor("Breakpoint 0 hit")) << kd_->both();
  }

  /// By an independent host, which has left the line when this returns.
  void LookAtTheCode() {
    KdProbe probe(machine_->Connect());
    ASSERT_TRUE(probe.WaitForStop());
    leaf_ = probe.FindExport("DemoLeaf");
    crash_ = probe.FindExport("KeBugCheckEx");
    ASSERT_NE(leaf_, 0u);
    ASSERT_NE(crash_, 0u);
    leaf_bytes_ = probe.ReadAll(leaf_, 16);
    crash_bytes_ = probe.ReadAll(crash_, 16);
    ASSERT_TRUE(probe.ContinueOverBreak());
  }

  /// The line is free and the target runs, with its own code in memory, before `end`. A host that is not ours
  /// looks.
  void ExpectGivenBackBy(Clock::time_point end) {
    KdProbe probe(machine_->Connect());
    // Packet ids of the former host are not known here: acknowledge what comes, then RESET.
    probe.SendByte('b');
    std::optional<KdFrame> stop;
    while (!stop && Clock::now() < end) {
      const auto frame = probe.Receive(100ms);
      if (frame && frame->leader == 0x30) probe.SendControl(kAck, frame->id & ~kSyncBit);
      if (frame && frame->is_data(kStateChange)) stop = frame;
    }
    ASSERT_TRUE(stop) << "the line was not free in time\n" << server_->both();
    EXPECT_NE(Load64(stop->payload, kProgramCounter), leaf_) << "the target was left where it stood";
    probe.SendControl(kReset, 0);
    ASSERT_TRUE(probe.WaitForStop());
    EXPECT_EQ(probe.ReadAll(leaf_, 16), leaf_bytes_);
    EXPECT_EQ(probe.ReadAll(crash_, 16), crash_bytes_);
    EXPECT_TRUE(probe.ContinueOverBreak());
  }
  void ExpectSecondClientAttaches() {
    EXPECT_TRUE(server_->running());
    const std::string text = Output(*machine_, "lm;bl;qd");
    EXPECT_THAT(text, HasSubstr(names().demo));
    EXPECT_THAT(text, Not(HasSubstr("(0001)")));
  }

  /// The console goes on, says what is missing, and ends when told.
  int EndConsoleWithoutTarget() {
    kd_->Write("r rip\n.echo still here\nq\n");
    const auto code = kd_->Wait(5s);
    EXPECT_TRUE(code) << kd_->both();
    EXPECT_THAT(kd_->out(), AllOf(HasSubstr("\nstill here\n"), Not(HasSubstr("rip="))));
    EXPECT_THAT(kd_->error(), AnyOf(HasSubstr("no target answers"), HasSubstr("No runnable debuggees")));
    return code.value_or(-1);
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<ChildProcess> kd_;
  std::uint64_t leaf_ = 0, crash_ = 0;
  Bytes leaf_bytes_, crash_bytes_;
};

TEST_P(AcceptanceLoss, AClientKilledInMidCommandIsCleanedUpAfter) {
  kd_->Write(kLongCommand);
  ASSERT_TRUE(kd_->WaitFor("99 88 77 66\n"));
  kd_->Signal(SIGKILL);
  ExpectGivenBackBy(Clock::now() + 5s);
  ExpectSecondClientAttaches();
}

TEST_P(AcceptanceLoss, AClientKilledWhileTheTargetRunsIsCleanedUpAfter) {
  kd_->Write("bc 0\ng\n");
  ASSERT_TRUE(kd_->WaitFor("kd> g\n"));
  kd_->Signal(SIGKILL);
  ExpectGivenBackBy(Clock::now() + 5s);
  ExpectSecondClientAttaches();
}

TEST_P(AcceptanceLoss, AFrozenClientIsCleanedUpAfterAndIsToldWhenItWakes) {
  kd_->Write(kLongCommand);
  ASSERT_TRUE(kd_->WaitFor("99 88 77 66\n"));
  kd_->Signal(SIGSTOP);
  ExpectGivenBackBy(Clock::now() + 10s);  // 5 s of silence, then 5 s as for any other
  ExpectSecondClientAttaches();
  kd_->Signal(SIGCONT);
  EXPECT_TRUE(kd_->WaitFor("kd: ", 5s)) << kd_->both();
  kd_->Write("q\n");
  EXPECT_TRUE(kd_->Wait(5s)) << kd_->both();
}

TEST_P(AcceptanceLoss, AKilledMachineIsReportedAndTheServerServesTheNext) {
  machine_->Kill();
  EXPECT_TRUE(kd_->WaitFor("kd: the link ", 5s)) << kd_->both();
  EXPECT_EQ(EndConsoleWithoutTarget(), 6);
  EXPECT_TRUE(server_->running());
  const auto next = StartVariant();
  EXPECT_THAT(Output(*next, "lm;q"), HasSubstr(names().demo));
}

TEST_P(AcceptanceLoss, AMachineKilledWhileItRunsIsReported) {
  kd_->Write("bc *\ng\n");
  ASSERT_TRUE(kd_->WaitFor("kd> g\n"));
  machine_->Kill();
  EXPECT_TRUE(kd_->WaitFor("kd: the link ", 5s)) << kd_->both();
  kd_->Write("q\n");
  EXPECT_EQ(kd_->Wait(5s), 6) << kd_->both();
}

TEST_P(AcceptanceLoss, AKilledServerIsReportedAndTheNextOneTakesTheTargetOver) {
  server_->Signal(SIGKILL);
  EXPECT_TRUE(kd_->WaitFor("kd: ", 5s)) << kd_->both();
  EXPECT_NE(EndConsoleWithoutTarget(), 0);
  StartServer({}, port_);
  ExpectSecondClientAttaches();
}

INSTANTIATE_TEST_SUITE_P(Kernels, AcceptanceLoss, testing::Values(&kVariantA, &kVariantB),
                         [](const auto& info) { return std::string(1, info.param->variant); });

}  // namespace
}  // namespace longwire::test
