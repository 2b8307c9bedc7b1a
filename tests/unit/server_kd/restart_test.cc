#include "tests/unit/server_kd/target_simulation.h"

// A target that begins its stream anew: it restarted, or had only given the host up for a while.
namespace longwire::test {
namespace {

constexpr std::uint64_t kCode = TargetSimulation::kCode;
using kd::Api;

TEST(Restart, DataBreakpointsDoNotOutliveARestartThatWasNone) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kWrite, kCode + 0x1008, 8});
  sim.Go();
  // A target that gave the host up for a while begins its stream anew; its debug registers are as they were.
  sim.stub.GiveUp();
  sim.stub.Stop(kd::kExceptionSingleStep, kCode + 0x300, 0, 1);
  sim.Run(std::chrono::seconds(4));
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  for (int processor = 0; processor < 2; ++processor)
    EXPECT_EQ(kd::Load64(sim.stub.specials[processor], 0x48) & 3, 0u) << processor;
  std::uint64_t passed = ~std::uint64_t{0};
  sim.stub.on_continue = [&](bool, std::uint64_t value) { passed = value; };
  EXPECT_NE(sim.Go().as<rpc::Done>(), nullptr);
  EXPECT_EQ(passed & 3, 0u);
}

TEST(Restart, CodeBreakpointsDoNotOutliveARestartThatWasNone) {
  for (const bool module : {false, true}) {
    TargetSimulation sim;
    sim.AttachHalted();
    const kd::Bytes before = sim.stub.Peek(kCode + 0x100, 0x101);
    sim.SetBreakpoint(kCode + 0x100);
    sim.SetBreakpoint(kCode + 0x200);
    sim.Go();
    sim.stub.requests.clear();
    sim.stub.GiveUp();
    if (module) {
      sim.stub.LoadSymbols("\\driver.sys", 0xFFFFF80000100000);
    } else {
      sim.stub.Stop(0xC0000005, kCode + 0x300);
    }
    sim.Run(std::chrono::seconds(4));
    EXPECT_TRUE(sim.stub.breakpoints.empty()) << (module ? "a module" : "a stop");
    EXPECT_EQ(sim.stub.Peek(kCode + 0x100, 0x101), before);
    EXPECT_EQ(sim.stub.running, module);
    EXPECT_EQ(sim.stub.Count(Api::kRestoreBreakpoint), module ? 2u : kd::kBreakpointSlots)
        << "while it boots, time is short";
  }
}

TEST(Restart, NothingIsWrittenToATargetThatReallyRestarted) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.Restart();
  const kd::Bytes fresh(16, std::byte{0x77});
  sim.stub.Poke(kCode + 0x100, fresh);
  for (int module = 0; module < 3; ++module) {
    sim.stub.requests.clear();
    sim.stub.LoadSymbols("\\boot.sys", 0xFFFFF80000100000);
    sim.Run();
    EXPECT_EQ(sim.stub.Count(Api::kRestoreBreakpoint), module == 0 ? 1u : 0u);
  }
  sim.stub.Stop(0xC0000005, kCode + 0x300);
  sim.Run(std::chrono::seconds(4));
  ASSERT_EQ(sim.target.state(), rpc::TargetState::kHalted);
  EXPECT_EQ(sim.stub.Peek(kCode + 0x100, 16), fresh);
  EXPECT_EQ(sim.stub.Count(Api::kWriteVirtual) + sim.stub.Count(Api::kWriteBreakpoint), 0u);
}

TEST(Restart, WhatBootsWithoutAnAnswerIsNotKept) {
  TargetSimulation sim;
  sim.AttachHalted();
  sim.SetBreakpoint(kCode + 0x100);
  sim.Go();
  sim.stub.Restart();
  sim.stub.mute.insert(Api::kRestoreBreakpoint);
  sim.stub.requests.clear();
  sim.stub.LoadSymbols("\\boot.sys", 0xFFFFF80000100000);
  sim.Run(std::chrono::seconds(20));
  EXPECT_EQ(sim.stub.Count(Api::kRestoreBreakpoint), 1u);
  EXPECT_TRUE(sim.stub.running);
}

}  // namespace
}  // namespace longwire::test
