#pragma once

#include <cstdint>
#include <string>

#include "proto/error.h"

namespace longwire {

/// Opens and sets up the device for OpenSerial(); gives a non-blocking descriptor that the caller owns. Apart
/// from the stream because <asm/termbits.h> and <termios.h>, which Asio includes, cannot meet in one file.
Result<int> OpenSerialLine(const std::string& path, std::uint32_t baud);

/// Changes the speed of an open line at once, whatever is being sent. kLinkFailed: the device does not run at
/// it, and goes on at the one before.
Result<void> SetSerialSpeed(int line, const std::string& path, std::uint32_t baud);

}  // namespace longwire
