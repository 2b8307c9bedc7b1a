#include "server/kd/packet_trace.h"

#include <gmock/gmock.h>

#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

using testing::HasSubstr;

std::string Texts(const TargetSimulation& sim) {
  std::string all;
  for (const rpc::Output& output : sim.Events<rpc::Output>()) all += output.text;
  return all;
}

rpc::Configure Trace(bool on) {
  rpc::Configure configure;
  configure.trace_packets = on;
  return configure;
}

TEST(PacketTrace, TellsPacketsOfBothDirectionsWhileItIsOn) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Read(TargetSimulation::kStack, 8);
  EXPECT_EQ(Texts(sim), "");
  EXPECT_NE(sim.Ask(Trace(true)).as<rpc::Done>(), nullptr);
  sim.Read(TargetSimulation::kStack + 0x800, 8);
  EXPECT_THAT(Texts(sim), HasSubstr("KD> manipulate 00003130, id 8080000"));
  EXPECT_THAT(Texts(sim), HasSubstr("KD< acknowledge, id 8080000"));
  EXPECT_THAT(Texts(sim), HasSubstr("KD< manipulate 00003130, id 8080000"));
  EXPECT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_TRUE(sim.Events<rpc::LinkChanged>().empty()) << "nothing is known anew of the target";
  sim.Ask(Trace(false));
  sim.events.clear();
  sim.Read(TargetSimulation::kCode + 0x2000, 8);
  EXPECT_EQ(Texts(sim), "");
}

TEST(PacketTrace, EndsWithTheDriverWhoAskedForIt) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Ask(Trace(true));
  sim.target.SetDriver(sim.now, 1, false);
  sim.target.SetDriver(sim.now, 1, true);
  sim.Read(TargetSimulation::kStack, 8);
  EXPECT_THAT(Texts(sim), HasSubstr("KD> ")) << "it was lost and is back";
  sim.events.clear();
  sim.target.SetDriver(sim.now, 2, true);
  sim.Read(TargetSimulation::kStack + 0x800, 8);
  EXPECT_EQ(Texts(sim), "");
}

TEST(PacketTrace, ADeadTargetIsSeenByWhatIsSentAgainAndAgain) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Go();
  sim.Ask(Trace(true));
  sim.stub.stop_on_break_in = false;
  sim.target.SetBreakIn(sim.now);
  sim.Run(std::chrono::seconds(30));
  EXPECT_THAT(Texts(sim), HasSubstr("KD> break-in"));
  EXPECT_THAT(Texts(sim), HasSubstr("KD> reset, id"));
}

TEST(PacketTrace, DamageAndFloodsAreTold) {
  PacketTrace trace;
  const kd::TimePoint now{std::chrono::hours(1)};
  trace.OnSent(now, kd::Bytes{kd::kBreakInByte});
  EXPECT_EQ(trace.TakeText(), "") << "off";
  trace.Switch(true);
  trace.OnSent(now, kd::Bytes{kd::kBreakInByte});
  kd::Bytes damaged = kd::EncodeDataPacket(kd::PacketType::kDebugIo, 0x80800000, kd::Bytes(20));
  damaged[20] = std::byte{1};
  trace.OnReceived(now, damaged);
  trace.OnReceived(now, kd::Bytes(3, std::byte{'x'}));
  const std::string text = trace.TakeText();
  EXPECT_EQ(
      text,
      "KD> break-in\nKD< 37 bytes that belong to no good packet\nKD< damaged packet: its checksum is wrong\n"
      "KD< 3 bytes that belong to no good packet\n");
  const kd::Bytes packet = kd::EncodeControlPacket(kd::PacketType::kReset, 0);
  for (int i = 0; i < 10'000; ++i) trace.OnReceived(now, packet);
  const std::string flood = trace.TakeText();
  EXPECT_LE(flood.size(), PacketTrace::kMaxPending + 100);
  EXPECT_THAT(flood, HasSubstr("more packets are not shown"));
}

}  // namespace
}  // namespace longwire::test
