#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/test_machine.h"

namespace longwire::test {

/// What is true of a test machine, looked up by an independent host over a line without faults.
struct KnownMachine {
  struct Range {
    std::uint64_t address = 0;
    std::vector<std::uint8_t> bytes;
  };
  std::vector<Range> code;                                     ///< of every module; never changes
  std::vector<std::pair<std::string, std::uint64_t>> modules;  ///< name and base, in list order
  std::uint64_t module_list = 0, break_in = 0;
  std::uint64_t leaf = 0, delay = 0;  ///< functions that run several times a second
  std::uint64_t command = 0, argument = 0, commands_done = 0, ticks = 0, scratch = 0;

  bool InCode(std::uint64_t address) const;
};

/// `machine` stands at its first stop and has no host; it runs when this returns. Nothing on failure.
std::optional<KnownMachine> LookAt(const TestMachine& machine);

}  // namespace longwire::test
