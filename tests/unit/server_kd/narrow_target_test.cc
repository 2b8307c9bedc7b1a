#include "tests/unit/server_kd/target_simulation.h"

namespace longwire::test {
namespace {

using kd::Api;

constexpr std::uint32_t kCode = 0x80001000, kStack = 0x80010000, kData = 0x80020000;
constexpr std::size_t kEip = 0xB8, kEsp = 0xC4;

/// A 32-bit x86 machine: its addresses have 32 bits for clients, and are sign-extended on the line
/// (kd-protocol.md Q22). The scripted target finds no others.
class NarrowTarget : public testing::Test {
 protected:
  NarrowTarget() : sim_({}, kd::Machine::kX86) {
    stub_.Map(kCode, 0x4000);
    stub_.Map(kStack, 0x1000);
    stub_.Map(kData, 0x1000);
    stub_.Poke(kCode, {std::byte{0xCC}, std::byte{0xC3}});
    for (auto& context : stub_.contexts) kd::Store(std::span(context), kEsp, kStack + 0x400);
  }

  TargetSimulation sim_;
  ScriptedTarget& stub_ = sim_.stub;
};

TEST_F(NarrowTarget, TellsItsAddressesWithoutSignExtension) {
  sim_.target.SetDriver(sim_.now, 1, true);
  sim_.target.SetBreakIn(sim_.now);
  sim_.target.Opened(sim_.now);
  sim_.Run(std::chrono::seconds(4));
  ASSERT_TRUE(sim_.target.description());
  EXPECT_EQ(sim_.target.description()->machine, 0x14C);
  EXPECT_EQ(sim_.target.description()->kernel_base, 0x80400000u);
  EXPECT_EQ(sim_.target.description()->loaded_module_list, 0x80600000u);
  const auto stops = sim_.Events<rpc::StopEvent>();
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_EQ(stops[0].program_counter, kCode);
  EXPECT_EQ(stops[0].thread, 0x81230080u);
  EXPECT_EQ(stops[0].exception.address, kCode);
  EXPECT_EQ(stops[0].context.size(), 0x2CCu);
  ASSERT_EQ(stops[0].memory.size(), 2u);
  EXPECT_EQ(stops[0].memory[0].address, kCode);
  EXPECT_EQ(stops[0].memory[1].address, kStack + 0x400);
}

TEST_F(NarrowTarget, ReadsAndWritesBothFormsOfAnAddress) {
  sim_.AttachHalted();
  const kd::Bytes plain = sim_.Read(kData + 0x20, 16);
  EXPECT_EQ(plain, stub_.Peek(kData + 0x20, 16));
  const std::size_t asked = stub_.Count(Api::kReadVirtual);
  EXPECT_EQ(sim_.Read(0xFFFFFFFF00000000 | (kData + 0x20), 16), plain);
  EXPECT_EQ(stub_.Count(Api::kReadVirtual), asked) << "the same memory, known by now";
  for (const auto& seen : stub_.requests) {
    if (seen.api != Api::kReadVirtual) continue;
    EXPECT_EQ(seen.address >> 32, 0xFFFFFFFFu);
  }
  const auto written = sim_.Ask(rpc::WriteMemory{AddressSpace::Virtual(), kData + 0x40}, kd::Bytes(4));
  ASSERT_NE(written.as<rpc::MemoryWritten>(), nullptr);
  EXPECT_EQ(stub_.Peek(kData + 0x40, 4), kd::Bytes(4));
}

TEST_F(NarrowTarget, AReadEndsWhereTheAddressSpaceEnds) {
  sim_.AttachHalted();
  stub_.Map(0xFFFFF000, 0x1000);
  EXPECT_EQ(sim_.Read(0xFFFFFFF0, 0x100).size(), 0x10u);
}

TEST_F(NarrowTarget, BreakpointsAreHitSteppedOverAndPlantedAgain) {
  sim_.AttachHalted();
  const std::uint64_t id = sim_.SetBreakpoint(0xFFFFFFFF00000000 | (kCode + 0x100));
  EXPECT_EQ(stub_.breakpoints.begin()->second, kCode + 0x100);
  EXPECT_NE(sim_.Go().as<rpc::Done>(), nullptr);
  EXPECT_EQ(kd::Load32(stub_.contexts[0], kEip), kCode + 1) << "behind the break-in's own instruction";
  stub_.Stop(kd::kExceptionBreakpoint, kCode + 0x100);
  sim_.Run();
  ASSERT_TRUE(sim_.target.stop());
  EXPECT_EQ(sim_.target.stop()->breakpoints, std::vector<std::uint64_t>{id});
  std::vector<std::pair<bool, std::uint64_t>> continues;
  stub_.on_continue = [&](bool trace, std::uint64_t dr7) {
    continues.emplace_back(trace, dr7);
    if (trace) stub_.Stop(kd::kExceptionSingleStep, kCode + 0x102);
  };
  sim_.Go();
  EXPECT_EQ(continues, (std::vector<std::pair<bool, std::uint64_t>>{{true, 0x400}, {false, 0x400}}));
  EXPECT_EQ(stub_.breakpoints.size(), 1u);
  EXPECT_EQ(stub_.Peek(kCode + 0x100, 1)[0], std::byte{0xCC});
}

TEST_F(NarrowTarget, RegistersAreChangedAndTheStopFollows) {
  sim_.AttachHalted();
  kd::Bytes context = sim_.Ask(rpc::GetContext{0}).bulk;
  ASSERT_EQ(context.size(), 0x2CCu);
  kd::Store(std::span(context), kEip, kCode + 0x40);
  EXPECT_NE(sim_.Ask(rpc::SetContext{0}, context).as<rpc::Done>(), nullptr);
  EXPECT_EQ(kd::Load32(stub_.contexts[0], kEip), kCode + 0x40);
  sim_.Go();
  EXPECT_EQ(kd::Load32(stub_.contexts[0], kEip), kCode + 0x40) << "no breakpoint stands there";
}

TEST_F(NarrowTarget, DataBreakpointsGoIntoTheNarrowDebugRegisters) {
  sim_.AttachHalted();
  const auto set = sim_.Ask(rpc::SetBreakpoint{rpc::BreakpointKind::kWrite, kData + 8, 4});
  ASSERT_NE(set.as<rpc::Value>(), nullptr);
  for (std::uint32_t processor = 0; processor < stub_.processors; ++processor) {
    EXPECT_EQ(kd::Load32(stub_.specials[processor], 0x10), kData + 8);
    EXPECT_NE(kd::Load32(stub_.specials[processor], 0x24) & 3, 0u);
  }
}

TEST_F(NarrowTarget, ModuleReportsAreNotExtended) {
  sim_.AttachHalted();
  sim_.Go();
  sim_.events.clear();
  stub_.LoadSymbols("\\drivers\\lab.sys", 0xF9E00000);
  sim_.Run();
  const auto changes = sim_.Events<rpc::ModuleChanged>();
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].change.base, 0xF9E00000u);
  EXPECT_FALSE(changes[0].change.all);
  sim_.events.clear();
  stub_.UnloadAll();
  sim_.Run();
  ASSERT_EQ(sim_.Events<rpc::ModuleChanged>().size(), 1u);
  EXPECT_TRUE(sim_.Events<rpc::ModuleChanged>()[0].change.all);
}

TEST_F(NarrowTarget, TheDebuggerDataIsFoundBehindANarrowPointer) {
  stub_.debugger_data_list = kData + 0x10;
  stub_.Poke32(kData + 0x10, kData + 0x100);
  stub_.Poke(kData + 0x100, kd::Bytes(0x290));
  stub_.Poke32(kData + 0x110, 0x4742444B);  // "KDBG"
  stub_.Poke32(kData + 0x114, 0x290);
  stub_.Poke64(kData + 0x118, 0xFFFFFFFF80400000);
  sim_.AttachHalted();
  ASSERT_TRUE(sim_.target.description());
  EXPECT_EQ(sim_.target.description()->debugger_data_address, kData + 0x100);
  EXPECT_EQ(sim_.target.description()->debugger_data.size(), 0x290u);
}

/// Reading through page tables: CR4 tells their shape, memory of the scripted target is physical, too.
class NarrowTables : public NarrowTarget {
 protected:
  static constexpr std::uint32_t kTop = 0x1000, kMiddle = 0x2000, kLeaf = 0x3000, kPage = 0x5000;
  static constexpr std::size_t kCr4 = 0xC;

  void Prepare(std::uint32_t cr4) {
    stub_.Map(0, 0x8000);
    for (const std::uint32_t table : {kTop, kMiddle, kLeaf}) stub_.Poke(table, kd::Bytes(0x1000));
    for (auto& special : stub_.specials) kd::Store(std::span(special), kCr4, cr4);
  }
  kd::Bytes ReadThrough(std::uint64_t base, std::uint64_t address, std::uint64_t size) {
    return sim_.Ask(rpc::ReadMemory{AddressSpace::PageTable(base), {{address, size}}, false}).bulk;
  }
};

TEST_F(NarrowTables, TwoLevels) {
  Prepare(0x10);
  stub_.Poke32(kTop + 0x201 * 4, kLeaf | 0x63);  // 80402345: indexes 201, 2
  stub_.Poke32(kLeaf + 2 * 4, kPage | 0x63);
  stub_.Poke32(kTop + 0x300 * 4, 0x00000000 | 0xE3);  // C0000000: a page of 4 MiB
  sim_.AttachHalted();
  EXPECT_EQ(ReadThrough(kTop, 0x80402345, 8), stub_.Peek(kPage + 0x345, 8));
  EXPECT_EQ(ReadThrough(kTop, 0xFFFFFFFF80402345, 8), stub_.Peek(kPage + 0x345, 8));
  EXPECT_EQ(ReadThrough(kTop, 0xC0005010, 8), stub_.Peek(kPage + 0x10, 8));
  EXPECT_TRUE(ReadThrough(kTop, 0x80403000, 8).empty());
}

TEST_F(NarrowTables, ThreeLevelsWithPae) {
  Prepare(0x30);
  stub_.Poke64(kTop + 0x20 + 2 * 8, kMiddle | 1);  // the top table has four entries and any 32-byte place
  stub_.Poke64(kMiddle + 2 * 8, kLeaf | 0x63);     // 80402345: indexes 2, 2, 2
  stub_.Poke64(kLeaf + 2 * 8, std::uint64_t{1} << 63 | kPage | 0x63);
  stub_.Poke64(kMiddle + 4 * 8, 0xE3);  // 80800000: a page of 2 MiB
  sim_.AttachHalted();
  EXPECT_EQ(ReadThrough(kTop + 0x20, 0x80402345, 8), stub_.Peek(kPage + 0x345, 8));
  EXPECT_EQ(ReadThrough(kTop + 0x20, 0x80805010, 8), stub_.Peek(kPage + 0x10, 8));
  EXPECT_TRUE(ReadThrough(kTop + 0x20, 0x80403000, 8).empty());
  EXPECT_TRUE(ReadThrough(kTop + 0x20, 0xC0000000, 8).empty());
}

}  // namespace
}  // namespace longwire::test
