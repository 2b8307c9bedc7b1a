#pragma once

#include "client/commands/command.h"

namespace longwire {

// Parts of AddMemoryCommands that live in files of their own.
void AddMemoryWriteCommands(CommandTable& table);  ///< e* f fp m c
void AddSearchCommand(CommandTable& table);        ///< s

/// One item of `eb`, `f` or `s` behind an address: a number of `size` bytes, 'c' or "text" (one element per
/// character). Appends its bytes. `command` is the text for errors.
Result<void> TakeItem(Arguments& arguments, unsigned size, std::vector<std::byte>& bytes, std::string_view command);

}  // namespace longwire
