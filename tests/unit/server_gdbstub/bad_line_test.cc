// Lines on which a stub's answers come damaged, in part, or not at all.
#include "tests/unit/server_gdbstub/stub_bench.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kCode = ScriptedStub::kCode;
constexpr char kNext[] = "check the virtual machine, or open the link again";

class BadLine : public StubBench {
 protected:
  static void FlipSum(std::string& frame) { frame.back() = frame.back() == '0' ? '1' : '0'; }
  /// The next `count` frames are spoilt.
  void Spoil(int count, std::function<void(std::string&)> how) {
    stub.spoil = [=, left = count](std::string& frame) mutable {
      if (left > 0 && left-- > 0) how(frame);
    };
  }
  /// A stop like that before, after the stub was tried again.
  void ExpectRecovery(kd::Duration after) {
    Run(after);
    EXPECT_EQ(target.state(), rpc::TargetState::kHalted) << Told().text;
    const rpc::Answer read = Read(kCode, 16);
    EXPECT_TRUE(std::holds_alternative<rpc::MemoryRead>(read)) << MessageOf(read);
    EXPECT_EQ(bulk.size(), 16u);
  }
};

TEST_F(BadLine, AcknowledgesStayWhereTheStubWantsThem) {
  stub.stops_acknowledging = false;
  OpenHalted();
  stub.acknowledges = 0;
  (void)Read(kCode, 16);
  EXPECT_EQ(stub.acknowledges, static_cast<int>(stub.heard.size()));
  EXPECT_GT(stub.acknowledges, 0);
}

TEST_F(BadLine, ADamagedAnswerIsSentAgain) {
  stub.stops_acknowledging = false;
  OpenHalted();
  Spoil(3, FlipSum);
  const rpc::Answer read = Read(kCode, 16);
  EXPECT_TRUE(std::holds_alternative<rpc::MemoryRead>(read)) << MessageOf(read);
  EXPECT_EQ(bulk, kd::Bytes(16, std::byte{0x90}));
  EXPECT_EQ(stub.refusals, 3);
  EXPECT_EQ(target.Status().checksum_errors, 3u);
}

TEST_F(BadLine, NothingButDamage) {
  stub.stops_acknowledging = false;
  OpenHalted();
  Spoil(20, FlipSum);
  const rpc::Answer read = Read(kCode, 16);
  EXPECT_THAT(MessageOf(read), HasSubstr("sends only damaged packets"));
  ExpectTold(Errc::kLinkFailed, "sends only damaged packets", kNext);
  EXPECT_LE(stub.refusals, 9);
  stub.spoil = {};
  ExpectRecovery(Seconds(5));
}

TEST_F(BadLine, ADamagedAnswerThatNobodySendsAgain) {
  OpenHalted();
  Spoil(1, FlipSum);
  const rpc::Answer read = Read(kCode, 16, Seconds(1));  // much sooner than a stub is given up
  EXPECT_THAT(MessageOf(read), HasSubstr("damaged or too long"));
  ExpectTold(Errc::kLinkFailed, "damaged or too long", kNext);
  EXPECT_EQ(stub.refusals, 0);
  ExpectRecovery(Seconds(5));
}

TEST_F(BadLine, AnAnswerWithoutAnEnd) {
  OpenHalted();
  Spoil(1, [](std::string& frame) { frame = "$" + std::string(gdb::kMaxPayload * 2 + 100, '9') + "#00"; });
  EXPECT_THAT(MessageOf(Read(kCode, 16)), HasSubstr("damaged or too long"));
  ExpectRecovery(Seconds(5));
}

TEST_F(BadLine, HalfAnAnswer) {
  OpenHalted();
  Spoil(1, [](std::string& frame) { frame.resize(frame.size() / 2); });
  const rpc::Answer read = Read(kCode, 16, Seconds(11));
  EXPECT_THAT(MessageOf(read), HasSubstr("does not answer"));
  ExpectTold(Errc::kLinkFailed, "does not answer", kNext);
  // The half stands before the next answer and spoils that one, too.
  ExpectRecovery(Seconds(10));
}

TEST_F(BadLine, SilenceHasADeadline) {
  OpenHalted();
  stub.silent = true;
  const rpc::Answer read = Read(kCode, 16, GdbLine::kPatience);
  EXPECT_THAT(MessageOf(read), HasSubstr("does not answer"));
  ExpectTold(Errc::kLinkFailed, "does not answer", kNext);
  Run(Seconds(60));
  // The answers of all that time come at once; none of them is taken for that to a later question.
  stub.silent = false;
  ExpectRecovery(Seconds(20));
}

TEST_F(BadLine, SilenceFromTheFirstByteOn) {
  stub.silent = true;
  Open(GdbLine::kPatience);
  ExpectTold(Errc::kLinkFailed, "does not answer", kNext);
  stub.silent = false;
  ExpectRecovery(Seconds(20));
}

TEST_F(BadLine, ABreakInThatIsNotAnswered) {
  OpenHalted();
  (void)Go();
  ASSERT_EQ(target.state(), rpc::TargetState::kRunning);
  stub.silent = true;
  (void)Ask(rpc::BreakIn{}, GdbLine::kPatience);
  ExpectTold(Errc::kLinkFailed, "does not stop the target", kNext);
  stub.silent = false;
  ExpectRecovery(Seconds(20));
}

}  // namespace
}  // namespace longwire::test
