#include "tests/soak/known_machine.h"

#include <algorithm>

#include "tests/support/kd_probe.h"

namespace longwire::test {
namespace {

constexpr std::uint32_t kHeaderBytes = 0x400, kMostCode = 0x10000;
constexpr std::size_t kSectionSize = 40, kVersionList = 0x28, kDebuggerList = 0x30, kBlockBreakIn = 0x20;

/// The first section, which holds code in every image the linker makes.
KnownMachine::Range ReadCode(KdProbe& probe, std::uint64_t base) {
  const Bytes header = probe.ReadAll(base, kHeaderBytes);
  const std::uint32_t pe = Load32(header, 0x3C);
  const std::size_t section = pe + 24 + Load16(header, pe + 20);
  if (section + kSectionSize > header.size()) return {};
  const std::uint32_t size = std::min(Load32(header, section + 8), kMostCode);
  const std::uint64_t address = base + Load32(header, section + 12);
  return {address, probe.ReadAll(address, size)};
}

}  // namespace

bool KnownMachine::InCode(std::uint64_t address) const {
  return std::any_of(code.begin(), code.end(), [address](const Range& range) {
    return address >= range.address && address - range.address < range.bytes.size();
  });
}

std::optional<KnownMachine> LookAt(const TestMachine& machine) {
  KdProbe probe(machine.Connect());
  if (!probe.WaitForStop()) return std::nullopt;
  KnownMachine known;
  known.modules = probe.Modules();
  for (const auto& [name, base] : known.modules) {
    KnownMachine::Range range = ReadCode(probe, base);
    if (range.bytes.empty()) return std::nullopt;
    known.code.push_back(std::move(range));
  }
  const Bytes version = probe.Exchange(0x3146).head;
  known.module_list = Load64(version, kVersionList);
  const std::uint64_t block = probe.ReadPointer(Load64(version, kDebuggerList));
  known.break_in = probe.ReadPointer(block + kBlockBreakIn);
  known.leaf = probe.FindExport("DemoLeaf");
  known.delay = probe.FindExport("KeDelayExecutionThread");
  known.command = probe.FindExport("g_Command");
  known.argument = probe.FindExport("g_CommandArgument");
  known.commands_done = probe.FindExport("g_CommandsDone");
  known.ticks = probe.FindExport("g_Ticks");
  known.scratch = probe.FindExport("g_Answer");
  for (const std::uint64_t address : {known.break_in, known.leaf, known.delay, known.command, known.argument,
                                      known.commands_done, known.ticks, known.scratch}) {
    if (address == 0) return std::nullopt;
  }
  if (!probe.ContinueOverBreak()) return std::nullopt;
  return known;
}

}  // namespace longwire::test
