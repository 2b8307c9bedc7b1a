#include "server/passthrough/gdb_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "proto/gdb/hex.h"
#include "proto/gdb/stop_reply.h"
#include "proto/gdb/target_description.h"

namespace longwire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::uint64_t kCounter = 0xFFFFF80012345678;

std::string Hex(std::string_view text) { return gdb::EncodeHex(std::as_bytes(std::span(text))); }

/// A debugger at one end of a session and the KD service at the other, both by hand.
class GdbSessionTest : public testing::Test {
 protected:
  struct Asked {
    rpc::Request request;
    kd::Bytes bulk;
    GdbSession::Done done;
  };

  GdbSessionTest() {
    session_ =
        std::make_unique<GdbSession>([this](rpc::Request request, kd::Bytes bulk, GdbSession::Done done) {
          asked_.push_back({std::move(request), std::move(bulk), std::move(done)});
        });
  }

  void Open(bool halted = true) {
    rpc::LinkOpened opened;
    opened.driver_epoch = 3;
    opened.description = rpc::TargetDescription{};
    opened.description->machine = 0x8664;
    if (halted) opened.stop = Stop(1);
    session_->Opened(opened);
  }
  rpc::StopEvent Stop(std::uint64_t counter, std::uint32_t processor = 0) {
    rpc::StopEvent stop;
    stop.stop_counter = counter;
    stop.processor = processor;
    stop.processors = 4;
    stop.program_counter = kCounter;
    stop.exception.code = 0x80000003;
    return stop;
  }
  /// What the session says to `packet` by itself.
  std::vector<std::string> Say(std::string_view packet) {
    peer_.Send(packet);
    return Pass();
  }
  std::vector<std::string> Pass() {
    session_->Receive(peer_.TakeOutput());
    return Heard();
  }
  std::vector<std::string> Heard() {
    peer_.Receive(session_->TakeOutput());
    std::vector<std::string> heard;
    while (const auto frame = peer_.Next()) heard.push_back(frame->payload);
    return heard;
  }
  template <class T>
  T Take() {
    if (asked_.empty() || !std::holds_alternative<T>(asked_.front().request)) {
      ADD_FAILURE() << "another request was expected; there are " << asked_.size();
      return T{};
    }
    taken_ = std::move(asked_.front());
    asked_.pop_front();
    return std::get<T>(taken_.request);
  }
  std::vector<std::string> Reply(rpc::Answer answer, kd::Bytes bulk = {}) {
    auto done = std::exchange(taken_.done, nullptr);
    if (done) done(std::move(answer), std::move(bulk));
    return Heard();
  }
  std::vector<std::string> Event(rpc::Event event) {
    session_->OnEvent(event);
    return Heard();
  }
  /// A resumption that the target acknowledged.
  rpc::Resume RunOn(std::string_view packet) {
    EXPECT_THAT(Say(packet), IsEmpty());
    const rpc::Resume resume = Take<rpc::Resume>();
    EXPECT_THAT(Reply(rpc::Done{}), IsEmpty());
    return resume;
  }

  std::deque<Asked> asked_;
  Asked taken_;
  std::unique_ptr<GdbSession> session_;
  gdb::PacketStream peer_;
};

TEST_F(GdbSessionTest, AnswersNothingBeforeTheLinkIsItsOwn) {
  EXPECT_THAT(Say("qSupported:swbreak+;hwbreak+"), IsEmpty());
  Open();
  EXPECT_THAT(Heard(), ElementsAre(HasSubstr("qXfer:features:read+")));
}

TEST_F(GdbSessionTest, WaitsForTheFirstStopBehindTheHandshake) {
  Open(false);
  EXPECT_THAT(Say("qSupported"), ElementsAre(HasSubstr("PacketSize=")));
  EXPECT_THAT(Say("?"), IsEmpty());
  EXPECT_THAT(Event(Stop(1, 2)), ElementsAre("T05thread:3;"));
}

TEST_F(GdbSessionTest, ARefusedDebuggerHearsWhy) {
  EXPECT_THAT(Say("qSupported"), IsEmpty());
  session_->Fail(Error{Errc::kLinkInUse, "the link is in use by bob@host"});
  EXPECT_THAT(Heard(), ElementsAre("E.the link is in use by bob@host"));
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSessionTest, NoAckModeBeginsBehindItsOk) {
  Open();
  EXPECT_THAT(Say("QStartNoAckMode"), ElementsAre("OK"));
  session_->TakeOutput();
  const std::string packet = gdb::EncodePacket("qC");
  session_->Receive(std::as_bytes(std::span(packet)));
  EXPECT_EQ(gdb::ToText(session_->TakeOutput()), gdb::EncodePacket("QC1"));
}

TEST_F(GdbSessionTest, TheDescriptionComesInChunks) {
  Open();
  std::string document;
  for (;;) {
    const auto part = Say("qXfer:features:read:target.xml:" + gdb::EncodeNumber(document.size()) + ",c8");
    ASSERT_EQ(part.size(), 1u);
    ASSERT_LE(part[0].size(), 201u);
    document.append(part[0], 1);
    if (part[0][0] == 'l') break;
    ASSERT_EQ(part[0][0], 'm');
  }
  EXPECT_EQ(document, RegisterMap::For(kd::Machine::kAmd64)->Describe());
  EXPECT_THAT(Say("qXfer:features:read:target.xml:fffff,10"), ElementsAre("l"));
  EXPECT_THAT(Say("qXfer:features:read:other.xml:0,10"), ElementsAre("E00"));
  EXPECT_THAT(Say("qXfer:features:read:target.xml:0,0"), ElementsAre("E16"));
}

TEST_F(GdbSessionTest, RegistersOfTheSelectedProcessor) {
  Open();
  EXPECT_THAT(Say("Hg3"), ElementsAre("OK"));
  EXPECT_THAT(Say("g"), IsEmpty());
  EXPECT_EQ(Take<rpc::GetContext>().processor, 2u);
  kd::Bytes context(0x4D0);
  kd::Store(std::span(context), 0xF8, kCounter);
  const auto answer = Reply(rpc::Bytes{}, context);
  ASSERT_EQ(answer.size(), 1u);
  EXPECT_EQ(answer[0].substr(16 * 16, 16), "7856341200f8ffff");
  EXPECT_THAT(Say("Hg9"), ElementsAre("E01"));
}

TEST_F(GdbSessionTest, OneRegisterIsChangedInItsRecord) {
  Open();
  EXPECT_THAT(Say("P10=efbeadde00000000"), IsEmpty());
  Take<rpc::GetContext>();
  EXPECT_THAT(Reply(rpc::Bytes{}, kd::Bytes(0x4D0, std::byte{0x55})), IsEmpty());
  Take<rpc::SetContext>();
  EXPECT_EQ(kd::Load64(taken_.bulk, 0xF8), 0xDEADBEEFu);
  EXPECT_EQ(kd::Load64(taken_.bulk, 0xF0), 0x5555555555555555u);
  EXPECT_THAT(Reply(rpc::Done{}), ElementsAre("OK"));
  EXPECT_THAT(Say("P10=ef"), ElementsAre("E16"));
  EXPECT_THAT(Say("Pffff=ef"), ElementsAre("E16"));
}

TEST_F(GdbSessionTest, ControlRegistersAndSegmentBasesAreReadOneByOne) {
  Open();
  const auto map = RegisterMap::For(kd::Machine::kAmd64);
  EXPECT_THAT(Say("p" + gdb::EncodeNumber(*map->Find("cr3"))), IsEmpty());
  const auto control = Take<rpc::ReadControlSpace>();
  kd::Bytes special(control.size);
  kd::Store(std::span(special), 0x10, std::uint64_t{0x1AD000});
  EXPECT_THAT(Reply(rpc::Bytes{}, special), ElementsAre("00d01a0000000000"));
  EXPECT_THAT(Say("p" + gdb::EncodeNumber(*map->Find("fs_base"))), IsEmpty());
  EXPECT_EQ(Take<rpc::ReadMsr>().number, 0xC0000100u);
  EXPECT_THAT(Reply(rpc::Value{0x1122}), ElementsAre("2211000000000000"));
  EXPECT_THAT(Say("p" + gdb::EncodeNumber(*map->Find("gs_base"))), IsEmpty());
  Take<rpc::ReadControlSpace>();
  EXPECT_THAT(Reply(Error{Errc::kTargetRefused, ""}), ElementsAre("xxxxxxxxxxxxxxxx"));
}

TEST_F(GdbSessionTest, MemoryIsReadAsFarAsItGoes) {
  Open();
  EXPECT_THAT(Say("mfffff80000001000,4"), IsEmpty());
  const auto read = Take<rpc::ReadMemory>();
  ASSERT_EQ(read.ranges.size(), 1u);
  EXPECT_EQ(read.ranges[0].address, 0xFFFFF80000001000u);
  EXPECT_EQ(read.ranges[0].size, 4u);
  EXPECT_THAT(Reply(rpc::MemoryRead{{2}}, {std::byte{0xCC}, std::byte{0x90}}), ElementsAre("cc90"));
  EXPECT_THAT(Say("m0,ffffffffff"), IsEmpty());
  EXPECT_LE(Take<rpc::ReadMemory>().ranges[0].size * 2, GdbSession::kPacketSize);
  EXPECT_THAT(Reply(rpc::MemoryRead{{0}}), ElementsAre("E0e"));
  EXPECT_THAT(Say("x1000,1"), IsEmpty());
  Take<rpc::ReadMemory>();
  EXPECT_THAT(Reply(rpc::MemoryRead{{1}}, {std::byte{'#'}}), ElementsAre("b#"));
  EXPECT_THAT(Say("mzz,1"), ElementsAre("E16"));
  EXPECT_THAT(Say("m1000"), ElementsAre("E16"));
}

TEST_F(GdbSessionTest, MemoryIsWritten) {
  Open();
  EXPECT_THAT(Say("X1000,4:a}]"), ElementsAre("E16"));  // one byte short
  EXPECT_THAT(Say("X1000,0:"), ElementsAre("OK"));
  EXPECT_THAT(Say("X1000,2:a$"), IsEmpty());
  EXPECT_EQ(Take<rpc::WriteMemory>().address, 0x1000u);
  EXPECT_EQ(gdb::ToText(taken_.bulk), "a$");
  EXPECT_THAT(Reply(rpc::MemoryWritten{2}), ElementsAre("OK"));
  EXPECT_THAT(Say("M1000,2:4142"), IsEmpty());
  Take<rpc::WriteMemory>();
  EXPECT_THAT(Reply(rpc::MemoryWritten{1}), ElementsAre("E0e"));
}

TEST_F(GdbSessionTest, ABreakpointIsReportedByItsKind) {
  Open();
  Say("qSupported:swbreak+;hwbreak+");
  const struct {
    const char* packet;
    rpc::BreakpointKind kind;
    const char* reason;
  } cases[] = {{"Z0,1000,1", rpc::BreakpointKind::kCode, "T05swbreak:;thread:1;"},
               {"Z1,1000,1", rpc::BreakpointKind::kExecute, "T05hwbreak:;thread:1;"},
               {"Z2,1000,8", rpc::BreakpointKind::kWrite, "T05watch:1000;thread:1;"},
               {"Z3,1000,4", rpc::BreakpointKind::kReadWrite, "T05rwatch:1000;thread:1;"},
               {"Z4,1000,4", rpc::BreakpointKind::kReadWrite, "T05awatch:1000;thread:1;"}};
  std::uint64_t id = 10, counter = 1;
  for (const auto& one : cases) {
    EXPECT_THAT(Say(one.packet), IsEmpty());
    const auto set = Take<rpc::SetBreakpoint>();
    EXPECT_EQ(set.kind, one.kind);
    EXPECT_EQ(set.address, 0x1000u);
    EXPECT_THAT(Reply(rpc::Value{++id}), ElementsAre("OK"));
    EXPECT_THAT(Say(one.packet), ElementsAre("OK"));  // again: there already
    RunOn("vCont;c");
    rpc::StopEvent stop = Stop(++counter);
    stop.breakpoints = {id};
    EXPECT_THAT(Event(stop), ElementsAre(one.reason));
    std::string removal = one.packet;
    removal[0] = 'z';
    EXPECT_THAT(Say(removal), IsEmpty());
    EXPECT_EQ(Take<rpc::ClearBreakpoint>().id, id);
    EXPECT_THAT(Reply(rpc::Done{}), ElementsAre("OK"));
    EXPECT_THAT(Say(removal), ElementsAre("OK"));
  }
  EXPECT_THAT(Say("Z0,1000,1"), IsEmpty());
  Take<rpc::SetBreakpoint>();
  EXPECT_THAT(Reply(Error{Errc::kTargetRefused, ""}), ElementsAre("E0e"));
  EXPECT_THAT(Say("Z9,1000,1"), ElementsAre(""));
}

TEST_F(GdbSessionTest, BreakpointsAreBounded) {
  Open();
  for (std::size_t i = 0; i < GdbSession::kMaxBreakpoints; ++i) {
    Say("Z0," + gdb::EncodeNumber(0x1000 + i) + ",1");
    Take<rpc::SetBreakpoint>();
    Reply(rpc::Value{i + 1});
  }
  EXPECT_THAT(Say("Z0,1,1"), ElementsAre("E0c"));
}

TEST_F(GdbSessionTest, ContinuingEndsThisStopAndNoOther) {
  Open();
  const rpc::Resume resume = RunOn("vCont;c");
  EXPECT_EQ(resume.stop_counter, 1u);
  EXPECT_EQ(resume.driver_epoch, 3u);
  EXPECT_FALSE(resume.step);
  EXPECT_TRUE(resume.handled);
  EXPECT_THAT(Event(rpc::Resumed{1}), IsEmpty());
  EXPECT_THAT(Event(Stop(2)), ElementsAre("T05thread:1;"));
  EXPECT_EQ(RunOn("vCont;c").stop_counter, 2u);
}

TEST_F(GdbSessionTest, AStopThatOvertakesTheAcknowledgeIsNotLost) {
  Open();
  EXPECT_THAT(Say("c"), IsEmpty());
  Take<rpc::Resume>();
  EXPECT_THAT(Event(Stop(2)), IsEmpty());
  EXPECT_THAT(Event(rpc::Resumed{1}), IsEmpty());
  EXPECT_THAT(Reply(rpc::Done{}), ElementsAre("T05thread:1;"));
}

TEST_F(GdbSessionTest, ARefusedResumptionLeavesTheStop) {
  Open();
  EXPECT_THAT(Say("c"), IsEmpty());
  Take<rpc::Resume>();
  EXPECT_THAT(Reply(Error{Errc::kFenced, ""}), ElementsAre("E01"));
  EXPECT_THAT(Say("?"), ElementsAre("T05thread:1;"));
}

TEST_F(GdbSessionTest, AnotherProcessorIsNamedInItsStep) {
  Open();
  const rpc::Resume resume = RunOn("vCont;s:3;c");
  EXPECT_TRUE(resume.step);
  EXPECT_EQ(resume.stop_counter, 1u);
  EXPECT_EQ(resume.processor, 2u);
  EXPECT_THAT(Event(Stop(2, 2)), ElementsAre("T05thread:3;"));
  const rpc::Resume next = RunOn("s");
  EXPECT_TRUE(next.step);
  EXPECT_FALSE(next.processor) << "it is the one that stopped";
}

TEST_F(GdbSessionTest, ASignalGoesBackToTheTarget) {
  Open();
  rpc::StopEvent fault = Stop(2);
  fault.exception.code = 0xC0000005;
  RunOn("c");
  EXPECT_THAT(Event(fault), ElementsAre("T0bthread:1;"));
  EXPECT_FALSE(RunOn("vCont;C0b:1;c").handled);
  Event(Stop(3));
  EXPECT_TRUE(RunOn("vCont;C05:1;c").handled);
  Event(Stop(4));
  EXPECT_FALSE(RunOn("C0b").handled);
}

TEST_F(GdbSessionTest, WhatIsNoActionIsRefused) {
  Open();
  for (const char* packet : {"vCont;", "vCont;t", "vCont;c:99", "vCont;;", "c1000", "Cxx", "s1000"})
    EXPECT_THAT(Say(packet), ElementsAre("E16")) << packet;
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(GdbSessionTest, AnInterruptBreaksInOnceTheTargetRuns) {
  Open();
  peer_.Interrupt();
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_THAT(asked_, IsEmpty());  // it is stopped
  EXPECT_THAT(Say("c"), IsEmpty());
  Take<rpc::Resume>();
  peer_.Interrupt();
  EXPECT_THAT(Pass(), IsEmpty());
  EXPECT_THAT(asked_, IsEmpty());  // not before the target acknowledged
  EXPECT_THAT(Reply(rpc::Done{}), IsEmpty());
  Take<rpc::BreakIn>();
  Reply(rpc::Done{});
  rpc::StopEvent stop = Stop(2);
  stop.break_in = true;
  EXPECT_THAT(Event(stop), ElementsAre("T02thread:1;"));
}

TEST_F(GdbSessionTest, ProcessorsAreThreads) {
  Open();
  EXPECT_THAT(Say("qfThreadInfo"), ElementsAre("m1,2,3,4"));
  EXPECT_THAT(Say("qsThreadInfo"), ElementsAre("l"));
  EXPECT_THAT(Say("T4"), ElementsAre("OK"));
  EXPECT_THAT(Say("T5"), ElementsAre("E01"));
  EXPECT_THAT(Say("qThreadExtraInfo,1"), ElementsAre(Hex("processor 0, stopped here")));
  EXPECT_THAT(Say("qThreadExtraInfo,2"), ElementsAre(Hex("processor 1")));
}

TEST_F(GdbSessionTest, OutputOfTheTargetIsToldWhileItRuns) {
  Open();
  rpc::Output output;
  output.text = "early\x1b[31m\n";
  EXPECT_THAT(Event(output), IsEmpty());
  EXPECT_THAT(Say("c"), IsEmpty());
  Take<rpc::Resume>();
  EXPECT_THAT(Reply(rpc::Done{}), ElementsAre("O" + Hex("early?[31m\n")));
  output.text = "late\n";
  EXPECT_THAT(Event(output), ElementsAre("O" + Hex("late\n")));
  EXPECT_THAT(Event(Stop(2)), ElementsAre(StartsWith("T05")));
}

TEST_F(GdbSessionTest, OutputForADebuggerThatWaitsNotIsBounded) {
  Open();
  rpc::Output output;
  output.text = std::string(4096, 'x');
  for (int i = 0; i < 100; ++i) Event(output);
  Say("c");
  Take<rpc::Resume>();
  std::size_t told = 0;
  for (const std::string& text : Reply(rpc::Done{})) {
    EXPECT_LE(text.size(), GdbSession::kPacketSize);
    told += text.size() / 2;
  }
  EXPECT_LE(told, GdbSession::kMaxOutput);
  EXPECT_GT(told, GdbSession::kMaxOutput / 2);
}

TEST_F(GdbSessionTest, QuestionsOfTheTargetDoNotHoldIt) {
  Open();
  EXPECT_THAT(Say("qRcmd," + Hex("prompt g")), ElementsAre("OK"));
  rpc::PromptRequested prompt;
  prompt.text = "Break, Ignore (bi)? ";
  Event(prompt);
  EXPECT_EQ(Take<rpc::AnswerPrompt>().text, "g");
  rpc::FileRequested file;
  file.request = 9;
  Event(file);
  const auto answer = Take<rpc::AnswerFile>();
  EXPECT_EQ(answer.request, 9u);
  EXPECT_EQ(answer.status, 0xC0000034u);
}

TEST_F(GdbSessionTest, MonitorTellsOfTheLink) {
  Open();
  EXPECT_THAT(Say("qRcmd," + Hex("status")), IsEmpty());
  Take<rpc::GetLinkStatus>();
  rpc::LinkStatus status;
  status.link = "com:port=/dev/ttyS0";
  status.state = rpc::TargetState::kHalted;
  EXPECT_THAT(Reply(status), ElementsAre(HasSubstr(Hex("link com:port=/dev/ttyS0 halted\n"))));
  EXPECT_THAT(Say("qRcmd," + Hex("help")), ElementsAre(HasSubstr(Hex("monitor status"))));
  EXPECT_THAT(Say("qRcmd," + Hex("nonsense")), ElementsAre(HasSubstr(Hex("There is no command nonsense"))));
  EXPECT_THAT(Say("qRcmd,0"), ElementsAre("E16"));
}

TEST_F(GdbSessionTest, DetachingLetsTheTargetRun) {
  Open();
  EXPECT_THAT(Say("D"), IsEmpty());
  EXPECT_TRUE(Take<rpc::CloseLink>().resume);
  EXPECT_THAT(Reply(rpc::Done{}), ElementsAre("OK"));
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSessionTest, KillDoesNotKillAMachine) {
  Open();
  EXPECT_THAT(Say("k"), IsEmpty());
  EXPECT_TRUE(Take<rpc::CloseLink>().resume);
  EXPECT_THAT(Reply(rpc::Done{}), IsEmpty());
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSessionTest, ALinkThatEndsWhileTheTargetRunsEndsTheProgram) {
  Open();
  RunOn("c");
  rpc::LinkChanged changed;
  changed.closed = changed.failed = true;
  changed.text = "gone";
  EXPECT_THAT(Event(changed), ElementsAre("X09"));
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSessionTest, AnotherDriverEndsIt) {
  Open();
  rpc::DriverChanged own;
  own.driver_epoch = 3;
  own.self = true;
  Event(own);
  EXPECT_FALSE(session_->over());
  rpc::DriverChanged other;
  other.driver = "bob@lab";
  other.driver_epoch = 4;
  Event(other);
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSessionTest, APeerThatDoesNotWaitForAnswersIsClosed) {
  for (std::size_t i = 0; i <= GdbSession::kMaxWaiting; ++i) peer_.Send("g");
  Pass();
  EXPECT_TRUE(session_->over());
}

TEST_F(GdbSessionTest, TheUnknownIsAnsweredByNothing) {
  Open();
  for (const char* packet :
       {"vMustReplyEmpty", "qSymbol::", "!", "jThreadsInfo", "QNonStop:1", "vFile:setfs:0", ""})
    EXPECT_THAT(Say(packet), ElementsAre("")) << packet;
}

TEST_F(GdbSessionTest, EndingWithAQuestionUnderWayIsHarmless) {
  Open();
  Say("g");
  ASSERT_EQ(asked_.size(), 1u);
  session_.reset();
  asked_.front().done(rpc::Bytes{}, kd::Bytes(0x4D0));
}

}  // namespace
}  // namespace longwire
