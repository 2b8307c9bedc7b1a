// The shapes a debugger finds in the stopped machine: lists, blocks, processors, address spaces.
#include <algorithm>
#include <map>
#include <set>

#include "tests/contract/target/machine_fixture.h"

namespace longwire::test {
namespace {

struct ProcessView {
  uint64_t address, id, directory;
};

class TargetShape : public MachineTest {
 protected:
  uint64_t Block() { return kd_->ReadPointer(Load64(kd_->Exchange(0x3146).head, 0x30)); }
  uint16_t BlockHalf(uint64_t offset) { return Load16(kd_->ReadAll(Block() + offset, 2), 0); }

  // The place of the links inside a process is not in the block: they follow UniqueProcessId, which is 4 for
  // the first process (kd-protocol.md 5.5). The links' distance from the start comes from the current
  // thread's process.
  uint64_t LinksOffset(uint64_t first_links) {
    const uint64_t thread = kd_->ReadPointer(Load64(kd_->ControlSpace(1, 8).data, 0) + 8);
    const uint64_t process = kd_->ReadPointer(thread + BlockHalf(0x2A0));
    return first_links - process;
  }

  std::vector<ProcessView> Processes() {
    const uint64_t head = kd_->ReadPointer(Block() + 0x50);
    const uint16_t directory = BlockHalf(0x2AE);
    const uint64_t offset = LinksOffset(kd_->ReadPointer(head));
    std::vector<ProcessView> processes;
    for (uint64_t at = kd_->ReadPointer(head); at != head && at != 0 && processes.size() < 1000;) {
      const Bytes links = kd_->ReadAll(at - 8, 24);
      processes.push_back({at - offset, Load64(links, 0), kd_->ReadPointer(at - offset + directory)});
      at = Load64(links, 8);
    }
    return processes;
  }

  // Translates in any address space by reading page tables physically; 0 when not mapped.
  uint64_t Translate(uint64_t directory, uint64_t address) {
    uint64_t table = directory;
    for (int shift = 39; shift >= 12; shift -= 9) {
      const uint64_t entry = Load64(kd_->Read(table + ((address >> shift) & 511) * 8, 8, 0x313D).data, 0);
      if (!(entry & 1)) return 0;
      table = entry & 0x000FFFFFFFFFF000;
    }
    return table | (address & 0xFFF);
  }
};
INSTANTIATE_TEST_SUITE_P(Variants, TargetShape, ::testing::Values('a', 'b'), VariantName);

TEST_P(TargetShape, ModuleListStartsWithKernelAndMatchesThePeHeaders) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const auto modules = kd_->Modules();
  ASSERT_EQ(modules.size(), 4u);
  EXPECT_EQ(modules[0].second, Load64(kd_->Exchange(0x3146).head, 0x20));
  EXPECT_EQ(modules[1].first, "hal.dll");
  const uint64_t head = Load64(kd_->Exchange(0x3146).head, 0x28);
  uint64_t at = kd_->ReadPointer(head);
  for (const auto& [name, base] : modules) {
    const Bytes entry = kd_->ReadAll(at, 0xA0), header = kd_->ReadAll(base, 0x200);
    const uint32_t pe = Load32(header, 0x3C);
    EXPECT_EQ(Load32(entry, 0x40), Load32(header, pe + 0x50)) << name;
    EXPECT_EQ(Load32(entry, 0x78), Load32(header, pe + 0x58)) << name;
    EXPECT_EQ(Load32(entry, 0x9C), Load32(header, pe + 8)) << name;
    EXPECT_NE(Load32(entry, 0x9C), 0u) << name;
    EXPECT_NE(Load32(entry, 0x78), 0u) << name;
    at = Load64(entry, 0);
  }
}

TEST_P(TargetShape, DebuggerBlock) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const Bytes block = kd_->ReadAll(Block(), 0x380);
  EXPECT_EQ(std::string(block.begin() + 16, block.begin() + 20), "KDBG");
  EXPECT_EQ(Load32(block, 0x14), 0x380u);
  EXPECT_EQ(Load64(block, 0x18), Load64(kd_->Exchange(0x3146).head, 0x20));
  EXPECT_EQ(Load64(block, 0x48), Load64(kd_->Exchange(0x3146).head, 0x28));
  EXPECT_EQ(Load64(block, 0x138), 0x1000u);
  const Bytes lab = kd_->ReadAll(Load64(block, 0x208), 32);
  EXPECT_NE(std::string(lab.begin(), lab.end()).find("amd64fre"), std::string::npos);
  const uint64_t processors = Load64(block, 0x218);
  for (uint16_t i = 0; i < 2; ++i) {
    EXPECT_EQ(kd_->ReadPointer(processors + i * 8), Load64(kd_->ControlSpace(1, 8, i).data, 0));
  }
  const Bytes shared = kd_->ReadAll(0xFFFFF78000000000, 0x3C8);
  EXPECT_EQ(Load32(shared, 0x26C), 10u);
  EXPECT_EQ(shared[0x2D4] & 3, 3);
  EXPECT_EQ(Load32(shared, 0x3C0), 2u);
}

TEST_P(TargetShape, EightProcessesWithTheirOwnUserPages) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const auto processes = Processes();
  ASSERT_EQ(processes.size(), 8u);
  EXPECT_EQ(processes[0].id, 4u);
  std::set<uint64_t> directories;
  std::set<Bytes> contents;
  const uint64_t page = GetParam() == 'a' ? 0x00007FF610000000 : 0x00007FF7A0000000;
  for (const ProcessView& process : processes) {
    directories.insert(process.directory);
    if (process.id == 4) continue;
    const uint64_t physical = Translate(process.directory, page);
    ASSERT_NE(physical, 0u);
    contents.insert(kd_->Read(physical, 64, 0x313D).data);
  }
  EXPECT_EQ(directories.size(), 8u);
  EXPECT_EQ(contents.size(), 7u);
}

TEST_P(TargetShape, ProcessesCanBeAddedAtBootAndOnDemand) {
  ASSERT_NO_FATAL_FAILURE(Boot({.extra_processes = 200, .break_at_boot = true}));
  ASSERT_TRUE(kd_->WaitForStop());
  EXPECT_EQ(Processes().size(), 208u);
  ASSERT_NO_FATAL_FAILURE(RunCommand(kSpawnProcesses, 10));
  EXPECT_TRUE(kd_->Silent(milliseconds(300)));
  ASSERT_TRUE(kd_->BreakIn());
  kd_->Exchange(0x3146);
  const uint64_t head = kd_->ReadPointer(Block() + 0x50);
  size_t count = 0;
  for (uint64_t at = kd_->ReadPointer(head); at != head && count < 1000; at = kd_->ReadPointer(at)) ++count;
  EXPECT_EQ(count, 218u);
}

TEST_P(TargetShape, PagedPoolHasAPageFileAndATransitionPage) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t pool = kd_->ReadPointer(kd_->ReadPointer(Block() + 0x120));
  const uint64_t pte_base = kd_->ReadPointer(Block() + 0x360);
  uint64_t entries[4];
  for (uint64_t i = 0; i < 4; ++i) {
    entries[i] = kd_->ReadPointer(pte_base + (((pool >> 12) & 0xFFFFFFFFF) + i) * 8);
  }
  EXPECT_TRUE(entries[0] & 1);
  EXPECT_EQ(entries[1] & 0xC01, 0u);
  EXPECT_NE(entries[1], 0u);
  EXPECT_EQ(entries[2] & 0xC01, 0x800u);
  EXPECT_TRUE(entries[3] & 1);
  const Bytes kept = kd_->Read(entries[2] & 0x0000FFFFFFFFF000, 17, 0x313D).data;
  EXPECT_EQ(std::string(kept.begin(), kept.end()), "paged pool page 2");
}

TEST_P(TargetShape, WaitingThreadStacksLeadBackToTheSwitch) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t idle = Load64(kd_->ControlSpace(3, 8, 1).data, 0);
  const uint64_t stack = kd_->ReadPointer(idle + BlockHalf(0x29C));
  const uint64_t return_address = kd_->ReadPointer(stack + 0x38);
  const auto modules = kd_->Modules();
  EXPECT_GT(return_address, modules[0].second);
  EXPECT_LT(return_address, modules[0].second + 0x100000);
  // The return address follows a call instruction (E8 rel32).
  EXPECT_EQ(kd_->ReadAll(return_address - 5, 1)[0], 0xE8);
}

TEST_P(TargetShape, BreakpointInPeriodicWorkIsHitAgainAndAgain) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  const uint64_t leaf = kd_->FindExport("DemoLeaf");
  ASSERT_TRUE(kd_->GetContext().size());
  for (int hit = 0; hit < 3; ++hit) {
    if (hit > 0) {  // step off first: the report removed the breakpoint
      ASSERT_TRUE(kd_->Continue(kContinue, true));
      ASSERT_TRUE(kd_->WaitForStop());
    }
    Bytes request = KdProbe::Request(0x3134);
    Store64(&request, 0x10, leaf);
    ASSERT_EQ(kd_->Exchange(request).status, 0u);
    ASSERT_TRUE(hit == 0 ? kd_->ContinueOverBreak() : kd_->Continue());
    auto stop = kd_->WaitForStop();
    ASSERT_TRUE(stop);
    EXPECT_EQ(Pc(*stop), leaf);
  }
}

TEST_P(TargetShape, PausedAndContinuedMachineAnswersAgain) {
  ASSERT_NO_FATAL_FAILURE(BootStopped());
  machine_->Pause();
  kd_->SendData(kManipulate, kd_->next_id(), KdProbe::Request(0x3146));
  EXPECT_TRUE(kd_->Silent(milliseconds(200)));
  machine_->Continue();
  EXPECT_TRUE(kd_->Receive());
  machine_->Kill();
  EXPECT_FALSE(machine_->alive());
}

TEST(TestMachine, VariantsShareNoAddressesOffsetsOrNames) {
  std::map<char, std::set<std::string>> names;
  std::map<char, std::set<uint64_t>> bases;
  std::map<char, Bytes> offsets;
  for (char variant : {'a', 'b'}) {
    std::string error;
    auto machine = TestMachine::Start({.variant = variant, .break_at_boot = true}, &error);
    ASSERT_NE(machine, nullptr) << error;
    KdProbe kd(machine->Connect());
    ASSERT_TRUE(kd.WaitForStop());
    for (const auto& [name, base] : kd.Modules()) {
      if (name != "hal.dll") names[variant].insert(name);
      bases[variant].insert(base);
    }
    offsets[variant] = kd.ReadAll(kd.ReadPointer(Load64(kd.Exchange(0x3146).head, 0x30)) + 0x298, 0x18);
  }
  for (const std::string& name : names['a']) EXPECT_FALSE(names['b'].contains(name)) << name;
  for (uint64_t base : bases['a']) EXPECT_FALSE(bases['b'].contains(base)) << base;
  for (size_t i = 0; i < 12; i += 2) {
    EXPECT_NE(Load16(offsets['a'], i), Load16(offsets['b'], i)) << "offset field " << i;
  }
}

}  // namespace
}  // namespace longwire::test
