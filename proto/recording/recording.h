#pragma once

#include <string>
#include <string_view>

#include "proto/error.h"
#include "proto/kd/bytes.h"

namespace longwire::recording {

/// One line of a recorded link (docs/protocol.md, "Recordings"): a chunk of the byte stream, whose borders
/// mean nothing, or a remark.
struct Entry {
  enum class Kind { kFromTarget, kFromHost, kNote };
  double seconds = 0;  ///< since the recording began
  Kind kind = Kind::kNote;
  kd::Bytes bytes;
  std::string note;
};

inline constexpr std::size_t kMaxLine = 1u << 20;  ///< characters of one line

/// `{"t":1.25,"dir":"t2h","hex":"6262"}` or `{"t":0,"note":"..."}`, with the end of the line.
std::string FormatEntry(const Entry& entry);
/// Unknown members are ignored. Errors: kMalformed, kLimitExceeded.
Result<Entry> ParseEntry(std::string_view line);

}  // namespace longwire::recording
