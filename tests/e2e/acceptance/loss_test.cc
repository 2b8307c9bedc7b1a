#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

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

constexpr std::size_t kCodeBytes = 64;

/// A search of 64 MiB takes many seconds over the line.
constexpr char kLongCommand[] = "s -b 0xffff800000000000 L?4000000 de ad be ef 99 88 77 66\n";

/// How long the link may stay taken when its client is gone, however it went: five seconds, on a machine with
/// as many runnable processes as processors; on a busier one everybody gets less of each second.
std::chrono::milliseconds LinkFreeLimit() {
  double load = 0, ignored = 0;
  std::string running;
  std::ifstream("/proc/loadavg") >> load >> ignored >> ignored >> running;
  load = std::max({load, std::strtod(running.c_str(), nullptr), 1.0});
  const double processors = std::max(1u, std::thread::hardware_concurrency());
  return std::chrono::milliseconds(static_cast<int>(5000 * std::max(1.0, load / processors)));
}

class AcceptanceLoss : public VariantScene {
 protected:
  void SetUp() override {
    StartServer();
    TestMachineOptions options;
    options.break_at_boot = true;
    machine_ = StartVariant(options);
    ASSERT_TRUE(machine_);
    ASSERT_NO_FATAL_FAILURE(LookAtTheCode());
    // What is left when a client does not come back; tests/e2e/survival has those that do.
    kd_ = AttachedKd(*machine_, {"-bonc", "--resume-wait", "0"});
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
    code_ = Code();
    ASSERT_EQ(code_.size(), 2 * kCodeBytes);
    ASSERT_TRUE(probe.ContinueOverBreak());
  }

  /// The code around both breakpoints, read behind the back of every debugger.
  Bytes Code() const {
    Bytes code = machine_->Memory(leaf_, kCodeBytes);
    const Bytes crash = machine_->Memory(crash_, kCodeBytes);
    code.insert(code.end(), crash.begin(), crash.end());
    return code;
  }

  /// kdsrv dies with breakpoints in memory; a new one that knows nothing of them takes the target.
  void ReplaceTheServer() {
    EXPECT_NE(Code(), code_) << "no breakpoint was in memory: nothing is tested";
    server_->Signal(SIGKILL);
    EXPECT_TRUE(kd_->WaitFor("kd: ", 5s)) << kd_->both();
    EXPECT_NE(Code(), code_) << "nobody was there to take the breakpoints out";
    StartServer({}, port_);
    const auto next = AttachedKd(*machine_);
    EXPECT_EQ(Code(), code_) << "a breakpoint was left in memory\n" << server_->both();
    next->Write("bl\nqd\n");
    EXPECT_EQ(next->Wait(), 0) << next->both();
    EXPECT_EQ(Code(), code_);
  }

  /// The line is free and the target runs, with its own code in memory, in time. A host that is not ours
  /// looks.
  void ExpectGivenBackSoon() {
    const auto end = Clock::now() + LinkFreeLimit();
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
    EXPECT_THAT(kd_->error(), AnyOf(HasSubstr("no target answers"), HasSubstr("No runnable debuggees"),
                                    HasSubstr("is lost")));
    return code.value_or(-1);
  }

  std::unique_ptr<TestMachine> machine_;
  std::unique_ptr<ChildProcess> kd_;
  std::uint64_t leaf_ = 0, crash_ = 0;
  Bytes leaf_bytes_, crash_bytes_, code_;
};

TEST_P(AcceptanceLoss, AClientKilledInMidCommandIsCleanedUpAfter) {
  kd_->Write(kLongCommand);
  ASSERT_TRUE(kd_->WaitFor("99 88 77 66\n"));
  kd_->Signal(SIGKILL);
  ExpectGivenBackSoon();
  ExpectSecondClientAttaches();
}

TEST_P(AcceptanceLoss, AClientKilledWhileTheTargetRunsIsCleanedUpAfter) {
  kd_->Write("bc 0\ng\n");
  ASSERT_TRUE(kd_->WaitFor("kd> g\n"));
  kd_->Signal(SIGKILL);
  ExpectGivenBackSoon();
  ExpectSecondClientAttaches();
}

TEST_P(AcceptanceLoss, AFrozenClientIsCleanedUpAfterAndIsToldWhenItWakes) {
  kd_->Write(kLongCommand);
  ASSERT_TRUE(kd_->WaitFor("99 88 77 66\n"));
  kd_->Signal(SIGSTOP);
  ExpectGivenBackSoon();
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
  ReplaceTheServer();
  EXPECT_NE(EndConsoleWithoutTarget(), 0);
  ExpectSecondClientAttaches();
}

TEST_P(AcceptanceLoss, AServerKilledWhileTheTargetRunsLeavesNoBreakpointToTheNext) {
  kd_->Write("bc 0\ng\n");
  ASSERT_TRUE(kd_->WaitFor("kd> g\n"));
  ReplaceTheServer();
  ExpectSecondClientAttaches();
}

INSTANTIATE_TEST_SUITE_P(Kernels, AcceptanceLoss, testing::Values(&kVariantA, &kVariantB),
                         [](const auto& info) { return std::string(1, info.param->variant); });

}  // namespace
}  // namespace longwire::test
