#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "client/commands/command.h"
#include "proto/address_space.h"
#include "proto/plan/plan.h"

namespace longwire {

// Parts of AddMemoryCommands that live in files of their own.
void AddMemoryWriteCommands(CommandTable& table);  ///< e* f fp m c
void AddSearchCommand(CommandTable& table);        ///< s

/// One item of `eb`, `f` or `s` behind an address: a number of `size` bytes, 'c' or "text" (one element per
/// character). Appends its bytes. `command` is the text for errors.
Result<void> TakeItem(Arguments& arguments, unsigned size, std::vector<std::byte>& bytes,
                      std::string_view command);

/// Emits the address of every place of the pattern in [address, address + size), overlapping ones too, as the
/// value of a register record each.
plan::Plan MakeSearchPlan(AddressSpace space, std::uint64_t address, std::uint64_t size,
                          const std::vector<std::byte>& pattern);

}  // namespace longwire
