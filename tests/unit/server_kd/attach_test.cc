#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

constexpr std::uint64_t kList = TargetSimulation::kCode + 0x4000, kBlock = TargetSimulation::kCode + 0x4100;

void PutDebuggerData(ScriptedTarget& stub) {
  stub.Poke(kBlock, kd::Bytes(0x360));
  stub.debugger_data_list = kList;
  stub.Poke64(kList, kBlock);
  stub.Poke64(kBlock + 0x10, 0x4742444Bull | 0x360ull << 32);
  stub.Poke64(kBlock + 0x18, 0xFFFFF80000000000);
  stub.Poke64(kBlock + 0x20, stub.break_in_address);
  stub.Poke64(kBlock + 0x88, TargetSimulation::kCode + 0x5000);
  stub.Poke(TargetSimulation::kCode + 0x5000, kd::Bytes(40));
}

TEST(Attach, BreaksInIdentifiesAndLetsTheTargetRun) {
  TargetSimulation sim;
  PutDebuggerData(sim.stub);
  sim.target.Opened(sim.now);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kSynchronizing);
  sim.Run(std::chrono::milliseconds(900));
  EXPECT_EQ(sim.stub.break_ins, 0) << "listens first";
  sim.Run(std::chrono::seconds(2));
  EXPECT_EQ(sim.stub.break_ins, 1);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  EXPECT_TRUE(sim.stub.running);
  EXPECT_EQ(sim.stub.Count(kd::Api::kRestoreBreakpoint), 32u);
  ASSERT_TRUE(sim.target.description().has_value());
  EXPECT_EQ(sim.target.description()->minor_version, 9600);
  EXPECT_EQ(sim.target.description()->debugger_data.size(), 0x360u);
  EXPECT_EQ(sim.target.description()->debugger_data_address, kBlock);
  EXPECT_TRUE(sim.Events<rpc::StopEvent>().empty());
}

TEST(Attach, StaysHaltedWhenAskedTo) {
  TargetOptions options;
  options.break_in = true;
  TargetSimulation sim(options);
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(3));
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  const auto stops = sim.Events<rpc::StopEvent>();
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_TRUE(stops[0].break_in);
  EXPECT_EQ(stops[0].context.size(), 0x4D0u);
  ASSERT_EQ(stops[0].memory.size(), 2u);
  EXPECT_EQ(stops[0].memory[0].address, TargetSimulation::kCode);
  EXPECT_EQ(stops[0].memory[0].bytes.size(), 64u);
  EXPECT_EQ(stops[0].memory[1].address, TargetSimulation::kStack + 0x400);
  EXPECT_EQ(stops[0].memory[1].bytes, sim.stub.Peek(TargetSimulation::kStack + 0x400, 1024));
}

TEST(Attach, ATargetThatWasStoppedStaysStopped) {
  TargetSimulation sim;
  sim.stub.Stop(kd::kExceptionBreakpoint, TargetSimulation::kCode);
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(2));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(sim.stub.break_ins, 0);
}

TEST(Attach, AStoppedTargetThatAnswersTheResetStaysStopped) {
  TargetSimulation sim;
  sim.stub.Stop(kd::kExceptionBreakpoint, TargetSimulation::kCode);
  // A former host took the report already: nothing is sent again by itself.
  sim.stub.TakeOutput();
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(6));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
}

TEST(Attach, ATargetLeftHaltedIsAskedByResetAtOnce) {
  TargetOptions options;
  options.left_halted = true;
  TargetSimulation sim(options);
  sim.stub.Stop(kd::kExceptionBreakpoint, TargetSimulation::kCode);
  sim.stub.TakeOutput();
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::milliseconds(500));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(sim.stub.break_ins, 0);
}

TEST(Attach, ATargetLeftHaltedThatRunsAgainIsBrokenIntoAllTheSame) {
  TargetOptions options;
  options.left_halted = options.break_in = true;
  TargetSimulation sim(options);
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(3));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(sim.stub.break_ins, 1);
}

TEST(Attach, WithoutDebuggerDataTheTargetIsKnownAllTheSame) {
  TargetSimulation sim;
  sim.stub.debugger_data_list = 0xFFFFFFFF00000000;  // unreadable
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(3));
  ASSERT_TRUE(sim.target.description().has_value());
  EXPECT_TRUE(sim.target.description()->debugger_data.empty());
}

TEST(Attach, LostStreamGoesOfflineAndComesBack) {
  TargetSimulation sim;
  sim.AttachHalted();
  bool answered = false;
  sim.target.Perform(
      sim.now, 77, rpc::ReadMemory{AddressSpace::Virtual(), {{TargetSimulation::kCode + 0x3000, 64}}, false},
      {}, [&](rpc::Answer answer, kd::Bytes) {
        answered = true;
        ASSERT_TRUE(std::holds_alternative<Error>(answer));
        EXPECT_EQ(std::get<Error>(answer).code, Errc::kLinkFailed);
      });
  sim.target.Lost(sim.now, Error{Errc::kLinkFailed, "gone"});
  EXPECT_TRUE(answered);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kOffline);
  const auto changes = sim.Events<rpc::LinkChanged>();
  ASSERT_FALSE(changes.empty());
  EXPECT_TRUE(changes.back().failed);
  sim.stub.Restart();
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(4));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
}

TEST(Attach, ALostTargetStaysOfflineUntilItIsHeardAgain) {
  TargetSimulation sim;
  sim.AttachHalted();
  // Somebody takes each connection and drops it.
  for (int i = 0; i < 5; ++i) {
    sim.target.Lost(sim.now, Error{Errc::kLinkFailed, "gone"});
    sim.target.Opened(sim.now);
    const auto outcome = sim.Ask(rpc::ReadMsr{0, 0xC0000080});
    ASSERT_NE(outcome.error(), nullptr);
    EXPECT_EQ(outcome.error()->code, Errc::kTargetOffline);
  }
  EXPECT_EQ(sim.Events<rpc::LinkChanged>().size(), 1u) << "said once";
  sim.target.Receive(sim.now, kd::Bytes(1));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kSynchronizing);
}

TEST(Attach, SyncMeansRestartAndBreakpointsAreGone) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(TargetSimulation::kCode + 0x100);
  sim.Go();
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  sim.stub.Restart();
  sim.events.clear();
  sim.stub.Stop(kd::kExceptionBreakpoint, TargetSimulation::kCode + 0x200);
  sim.Run(std::chrono::seconds(1));
  const auto stops = sim.Events<rpc::StopEvent>();
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_TRUE(stops[0].restarted);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_TRUE(sim.stub.breakpoints.empty());
  bool told = false;
  for (const auto& change : sim.Events<rpc::LinkChanged>())
    told |= change.text.find("restarted") != std::string::npos;
  EXPECT_TRUE(told);
}

TEST(Attach, ATargetThatRepeatsAReplyToAnEarlierDebuggerStaysStopped) {
  TargetSimulation sim;
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(3));
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  sim.target.Lost(sim.now, Error{Errc::kLinkFailed, "closed"});
  sim.target.Opened(sim.now);
  sim.target.Receive(sim.now, kd::EncodeDataPacket(kd::PacketType::kStateManipulate, kd::kInitialPacketId,
                                                   kd::EncodeGetVersion()));
  sim.Run(std::chrono::seconds(3));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_FALSE(sim.stub.running);
}

TEST(Attach, ARunningTargetWhoseFirstAnswerIsLostRunsOnAllTheSame) {
  TargetSimulation sim;
  sim.stub.mute = {kd::Api::kGetVersion};
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(3));
  sim.stub.mute.clear();
  sim.Run(std::chrono::seconds(20));
  EXPECT_TRUE(sim.target.description().has_value());
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  EXPECT_TRUE(sim.stub.running);
  const auto answer = sim.Ask(rpc::GetLinkStatus{});
  ASSERT_NE(answer.as<rpc::LinkStatus>(), nullptr);
  EXPECT_GT(answer.as<rpc::LinkStatus>()->resets, 0u) << "the answer was not lost";
}

TEST(Attach, AnotherSpeedBeginsItAnewWithTimersToMatch) {
  TargetSimulation sim;
  sim.stub.stop_on_break_in = false;
  sim.target.SetDriver(sim.now, 1, true);
  sim.target.SetBreakIn(sim.now);
  sim.target.Opened(sim.now);
  sim.Run(std::chrono::seconds(60));
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kSynchronizing);
  sim.stub.stop_on_break_in = true;
  sim.target.SetBaud(sim.now, 19200);
  const kd::Timers timers = kd::Timers::ForSerial(19200);
  sim.Run(timers.listen + std::chrono::seconds(1));
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  sim.target.Perform(sim.now, 900, rpc::ReadMsr{0, 0x10}, {}, [](rpc::Answer, kd::Bytes) {});
  ASSERT_TRUE(sim.target.Deadline());
  EXPECT_GE(*sim.target.Deadline() - sim.now, timers.acknowledge);
}

TEST(Attach, H60RebootRunsAtOnceAndTheNextStreamIsARestart) {
  TargetSimulation sim;
  sim.AttachHalted();
  EXPECT_NE(sim.Ask(rpc::Reboot{}).as<rpc::Done>(), nullptr);
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kRunning);
  sim.stub.Restart();
  sim.stub.Stop(kd::kExceptionBreakpoint, TargetSimulation::kCode + 0x200);
  sim.Run(std::chrono::seconds(1));
  const auto stops = sim.Events<rpc::StopEvent>();
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_TRUE(stops[0].restarted);
}

}  // namespace
}  // namespace longwire::test
