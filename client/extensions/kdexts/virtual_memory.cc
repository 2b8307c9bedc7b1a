#include "virtual_memory.h"

#include <cinttypes>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "longwire_extension.hpp"

namespace kdexts {
namespace {

struct Counter {
  const char* label;
  const char* field;     // of the row
  std::uint32_t offset;  // in KDDEBUGGER_DATA64 (kd-protocol.md 5.2): where the variable's address stands
  const char* symbol;    // when the block has no address
};
constexpr Counter kCounters[] = {
    {"Physical Memory:", "physical", 0xF8, "nt!MmNumberOfPhysicalPages"},
    {"Available Pages:", "available", 0x1A8, "nt!MmAvailablePages"},
    {"ResAvail Pages:", "resident_available", 0x1B0, "nt!MmResidentAvailablePages"},
    {"NonPagedPool Usage:", "nonpaged_pool", 0x250, "nt!MmAllocatedNonPagedPool"},
    {"PagedPool Usage:", "paged_pool", 0x170, "nt!MmPagedPoolCommit"},
    {"Shared Commit:", "shared_commit", 0x158, "nt!MmSharedCommit"},
    {"Driver Commit:", "driver_commit", 0x160, "nt!MmDriverCommit"},
    {"Process Commit:", "process_commit", 0x168, "nt!MmProcessCommit"},
    {"Committed pages:", "committed", 0x150, "nt!MmTotalCommittedPages"},
    {"Commit limit:", "commit_limit", 0x148, "nt!MmTotalCommitLimit"},
};

std::uint64_t AddressOf(lw::Debugger& debugger, const Counter& counter) {
  std::uint64_t address = 0;
  if (debugger.host().debugger_data(debugger.session(), counter.offset, &address, sizeof address) == 0 &&
      address != 0)
    return address;
  if (std::optional<std::uint64_t> symbol = debugger.Symbol(counter.symbol)) return *symbol;
  return 0;
}

}  // namespace

lw_status VirtualMemory(const lw_host* host, lw_session* session, const char* arguments) {
  lw::Debugger debugger(host, session);
  if (*arguments != '\0' && std::string_view(arguments).find_first_not_of(" 01") != std::string_view::npos) {
    debugger.Error("!vm shows the summary only: !vm or !vm 1");
    return 1;
  }
  std::uint64_t addresses[std::size(kCounters)];
  std::vector<lw_range> ranges;
  for (std::size_t i = 0; i < std::size(kCounters); ++i) {
    addresses[i] = AddressOf(debugger, kCounters[i]);
    if (addresses[i] != 0) ranges.push_back({addresses[i], debugger.pointer_size()});
  }
  host->prefetch(session, lw::Debugger::kCurrent, ranges.data(), static_cast<std::uint32_t>(ranges.size()));
  std::string text;
  lw::Row row(debugger, "memory_summary");
  for (std::size_t i = 0; i < std::size(kCounters); ++i) {
    if (addresses[i] == 0) continue;
    const std::optional<std::uint64_t> pages = debugger.ReadPointer(addresses[i]);
    if (!pages) continue;
    row.Hex(kCounters[i].field, *pages);
    text += lw::Text("%-22s%11" PRIu64 " (%11" PRIu64 " Kb)\n", kCounters[i].label, *pages, *pages * 4);
  }
  if (text.empty()) {
    text =
        "The memory manager's counters cannot be found: neither the debugger data block nor the symbols name "
        "them.\n";
  }
  text.pop_back();
  row.End(text);
  return 0;
}

}  // namespace kdexts
