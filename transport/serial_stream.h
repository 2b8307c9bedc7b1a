#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "transport/stream.h"

namespace longwire {

/// A serial device or pty, raw 8N1 without flow control, locked against other programs
/// (remote-debugging.md 4.1). Any baud rate that the hardware knows; 0 leaves the rate alone. Errors:
/// kLinkFailed (missing, no permission), kLinkInUse.
Result<std::unique_ptr<Stream>> OpenSerial(Executor executor, const std::string& path, std::uint32_t baud);

}  // namespace longwire
