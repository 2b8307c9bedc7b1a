#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proto/error.h"
#include "server/link/placed_breakpoint.h"

namespace longwire {

/// What a server that was killed needs to know of one of its links. No link keys and no passwords are in it;
/// the session's token is, so the file is for its owner only.
struct JournalEntry {
  std::string link;              ///< canonical link string
  bool needs_key = false;        ///< the string lacks a key: only a client can open the link again
  std::string driver;            ///< user@host
  std::uint64_t client = 0;      ///< number of the driver
  std::vector<std::byte> token;  ///< of the driver's session; empty: it ends with its connection
  std::uint64_t keep_ms = 0;     ///< how long that session is kept
  std::uint64_t driver_epoch = 0;
  std::uint32_t baud = 0;  ///< of the line, if a client changed it
  TargetHeritage target;

  static constexpr std::size_t kMaxBytes = 256u << 10;
  static constexpr std::size_t kMaxBreakpoints = 2048;  ///< more are not kept
};

/// Lines of text, the last one `end`.
std::string FormatJournalEntry(const JournalEntry& entry);
/// kMalformed: cut off, or not a journal.
Result<JournalEntry> ParseJournalEntry(std::string_view text);

}  // namespace longwire
