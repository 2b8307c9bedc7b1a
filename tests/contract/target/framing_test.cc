// Cases T01-T18 of kd-protocol.md 10.3: ids, acknowledgements, retries, break-in.
#include "tests/contract/target/machine_fixture.h"

namespace longwire::test {
namespace {

class TargetFraming : public MachineTest {};
INSTANTIATE_TEST_SUITE_P(Variants, TargetFraming, ::testing::Values('a', 'b'), VariantName);

TEST_P(TargetFraming, T01RepeatsTheFirstStateChangeUnchanged) {
  ASSERT_NO_FATAL_FAILURE(Boot({.break_at_boot = true, .ack_timeout_ms = 20}));
  auto first = kd_->Receive();
  ASSERT_TRUE(first && first->is_data(kStateChange));
  EXPECT_EQ(first->id, kFirstId | kSyncBit);
  for (int i = 0; i < 3; ++i) {
    auto again = kd_->Receive();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->id, first->id);
    EXPECT_EQ(again->payload, first->payload);
  }
  kd_->SendControl(kAck, kFirstId);
  while (kd_->Receive(milliseconds(100))) {
  }
  EXPECT_TRUE(kd_->Silent(milliseconds(200)));
}

TEST_P(TargetFraming, T02IgnoresAnAckThatStillHasSync) {
  ASSERT_NO_FATAL_FAILURE(Boot({.break_at_boot = true, .ack_timeout_ms = 50}));
  ASSERT_TRUE(kd_->Receive());
  kd_->SendControl(kAck, kFirstId | kSyncBit);
  for (int i = 0; i < 4; ++i) {
    auto again = kd_->Receive();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->id, kFirstId | kSyncBit);
  }
}

TEST_P(TargetFraming, T03SecondPacketHasTheOtherIdAndNoSync) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  kd_->SendData(kManipulate, kFirstId, KdProbe::Request(0x3146));
  auto ack = kd_->Receive();
  ASSERT_TRUE(ack && ack->is_control(kAck));
  auto reply = kd_->Receive();
  ASSERT_TRUE(reply && reply->is_data(kManipulate));
  EXPECT_EQ(reply->id, kSecondId);
}

TEST_P(TargetFraming, T04AnswersResetAndReportsAgain) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  kd_->SendControl(kReset, 0);
  auto reset = kd_->Receive();
  ASSERT_TRUE(reset && reset->is_control(kReset));
  EXPECT_EQ(reset->id, 0u);
  auto report = kd_->Receive();
  ASSERT_TRUE(report && report->is_data(kStateChange));
  EXPECT_EQ(report->id, kFirstId);
  EXPECT_EQ(report->payload, stop_);
}

TEST_P(TargetFraming, T05AcknowledgesARepeatedRequestButAnswersOnce) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(400));
  const Bytes request = KdProbe::Request(0x3146);
  kd_->SendData(kManipulate, kFirstId, request);
  ASSERT_TRUE(kd_->Receive()->is_control(kAck));
  auto reply = kd_->Receive();
  ASSERT_TRUE(reply && reply->is_data(kManipulate));
  kd_->SendControl(kAck, reply->id);
  kd_->SendData(kManipulate, kFirstId, request);
  auto ack = kd_->Receive();
  ASSERT_TRUE(ack && ack->is_control(kAck));
  EXPECT_EQ(ack->id, kFirstId);
  EXPECT_TRUE(kd_->Silent(milliseconds(300)));
}

TEST_P(TargetFraming, T06DropsARequestWithTheWrongId) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  kd_->SendData(kManipulate, kSecondId, KdProbe::Request(0x3146));
  auto ack = kd_->Receive();
  ASSERT_TRUE(ack && ack->is_control(kAck));
  EXPECT_EQ(ack->id, kSecondId);
  EXPECT_TRUE(kd_->Silent(milliseconds(300)));
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetFraming, T07AsksAgainForABadChecksum) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  Bytes frame = KdProbe::Frame(kManipulate, kFirstId, KdProbe::Request(0x3146));
  frame[20] ^= 1;
  kd_->SendRaw(frame);
  auto answer = kd_->Receive();
  ASSERT_TRUE(answer && answer->is_control(kResend));
  EXPECT_TRUE(kd_->Silent(milliseconds(300)));
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetFraming, T08AsksAgainForMalformedRequests) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  Bytes bad_trailer = KdProbe::Frame(kManipulate, kFirstId, KdProbe::Request(0x3146));
  bad_trailer.back() = 0;
  const Bytes too_short = KdProbe::Frame(kManipulate, kFirstId, Bytes(40, 1));
  Bytes too_long(KdProbe::Frame(kManipulate, kFirstId, Bytes(56, 1)));
  Store32(&too_long, 4, kManipulate | 4001u << 16);
  too_long.resize(16);
  for (const Bytes& frame : {bad_trailer, too_short, too_long}) {
    kd_->SendRaw(frame);
    auto answer = kd_->Receive();
    ASSERT_TRUE(answer && answer->is_control(kResend));
  }
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetFraming, T09RecoversFromARequestCutShort) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(400));
  Bytes frame = KdProbe::Frame(kManipulate, kFirstId, KdProbe::Request(0x3146));
  frame.resize(30);
  kd_->SendRaw(frame);
  auto answer = kd_->Receive();
  ASSERT_TRUE(answer && answer->is_control(kResend));
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetFraming, T10TakesTheNextRequestAsAcknowledgement) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(2000));
  kd_->SendData(kManipulate, kFirstId, KdProbe::Request(0x3146));
  ASSERT_TRUE(kd_->Receive()->is_control(kAck));
  ASSERT_TRUE(kd_->Receive()->is_data(kManipulate));
  const Bytes next = KdProbe::Frame(kManipulate, kSecondId, KdProbe::Request(0x3132));
  kd_->SendRaw(next);
  auto answer = kd_->Receive();
  ASSERT_TRUE(answer && answer->is_control(kResend));
  kd_->SendRaw(next);
  ASSERT_TRUE(kd_->Receive()->is_control(kAck));
  auto reply = kd_->Receive();
  ASSERT_TRUE(reply && reply->is_data(kManipulate));
  EXPECT_EQ(Load32(reply->payload, 0), 0x3132u);
  EXPECT_EQ(reply->id, kFirstId);
}

TEST_P(TargetFraming, T11RepeatsAReplyThatIsNotAcknowledged) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(50));
  kd_->SendData(kManipulate, kFirstId, KdProbe::Request(0x3146));
  ASSERT_TRUE(kd_->Receive()->is_control(kAck));
  auto first = kd_->Receive();
  for (int i = 0; i < 3; ++i) {
    auto again = kd_->Receive();
    ASSERT_TRUE(first && again);
    EXPECT_EQ(again->payload, first->payload);
    EXPECT_EQ(again->id, first->id);
  }
}

TEST_P(TargetFraming, T12RepeatsAReplyOnResend) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(2000));
  kd_->SendData(kManipulate, kFirstId, KdProbe::Request(0x3146));
  ASSERT_TRUE(kd_->Receive()->is_control(kAck));
  auto first = kd_->Receive();
  kd_->SendControl(kResend, 0);
  auto again = kd_->Receive(milliseconds(1000));
  ASSERT_TRUE(first && again);
  EXPECT_EQ(again->payload, first->payload);
  EXPECT_EQ(again->id, first->id);
}

TEST_P(TargetFraming, T13ResetDuringAReplyRestartsTheIds) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(2000));
  kd_->SendData(kManipulate, kFirstId, KdProbe::Request(0x3146));
  ASSERT_TRUE(kd_->Receive()->is_control(kAck));
  auto first = kd_->Receive();
  kd_->SendControl(kReset, 0);
  auto reset = kd_->Receive();
  ASSERT_TRUE(reset && reset->is_control(kReset));
  auto again = kd_->Receive();
  ASSERT_TRUE(first && again && again->is_data(kManipulate));
  EXPECT_EQ(again->id, kFirstId);
  EXPECT_EQ(again->payload, first->payload);
}

TEST_P(TargetFraming, T14GivesUpAPrintNobodyAcknowledges) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(60));
  const uint64_t ticks_at = kd_->FindExport("g_Ticks");
  const uint64_t ticks = kd_->ReadPointer(ticks_at);
  ASSERT_NO_FATAL_FAILURE(RunCommand(kPrint, 7));
  int copies = 0;
  while (auto frame = kd_->Receive(milliseconds(1000))) copies += frame->is_data(kDebugIo);
  EXPECT_GE(copies, 15);
  EXPECT_LE(copies, 20);
  kd_->SendByte('b');
  auto stop = kd_->Receive();
  ASSERT_TRUE(stop && stop->is_data(kStateChange));
  EXPECT_EQ(stop->id, kFirstId | kSyncBit);
  kd_->SendControl(kAck, kFirstId);
  kd_->set_next_id(kFirstId);
  EXPECT_GT(kd_->ReadPointer(ticks_at), ticks + 2) << "execution did not continue";
}

TEST_P(TargetFraming, T15RepeatsAnExceptionForEver) {
  ASSERT_NO_FATAL_FAILURE(Boot({.break_at_boot = true, .ack_timeout_ms = 20}));
  for (int i = 0; i < 30; ++i) {
    auto frame = kd_->Receive();
    ASSERT_TRUE(frame && frame->is_data(kStateChange)) << i;
    EXPECT_EQ(frame->id, kFirstId | kSyncBit);
  }
}

TEST_P(TargetFraming, T16BreakInStopsAtTheBreakInstruction) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_TRUE(kd_->ContinueOverBreak());
  EXPECT_TRUE(kd_->Silent(milliseconds(100)));
  auto stop = kd_->BreakIn();
  ASSERT_TRUE(stop);
  EXPECT_EQ(Code(*stop), 0x80000003u);
  EXPECT_EQ(Load32(*stop, 0xB8), 1u);
  EXPECT_EQ((*stop)[0xD8], 0xCC);
  const uint64_t block = kd_->ReadPointer(Load64(kd_->Exchange(0x3146).head, 0x30));
  EXPECT_EQ(Pc(*stop), kd_->ReadPointer(block + 0x20));
}

TEST_P(TargetFraming, T17SwallowsAResetWhileRunning) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  ASSERT_TRUE(kd_->ContinueOverBreak());
  kd_->SendControl(kReset, 0);
  EXPECT_TRUE(kd_->Silent(milliseconds(400)));
  EXPECT_TRUE(kd_->BreakIn());
}

TEST_P(TargetFraming, T18SkipsABreakInByteInFrontOfARequest) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  kd_->SendByte('b');
  EXPECT_EQ(kd_->Exchange(0x3146).status, 0u);
}

TEST_P(TargetFraming, BreakInByteAloneRepeatsTheReport) {
  ASSERT_NO_FATAL_FAILURE(BootStopped(100));
  kd_->SendByte('b');
  auto again = kd_->WaitForStop();
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, stop_);
}

}  // namespace
}  // namespace longwire::test
