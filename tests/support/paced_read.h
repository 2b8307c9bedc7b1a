#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace longwire::test {

inline constexpr unsigned kPacedBaud = 115200;
/// Bytes of a large read in a second, at most: a reply carries 3944 bytes in a frame of 73 + 3944 bytes, and
/// costs a request of 73 bytes and an acknowledge of 16 each way of which only those towards the host stand
/// in its way.
inline constexpr double kPacedMaximum = 3944.0 / (73 + 16 + 4017 + 16) * (kPacedBaud / 10);

/// Reads `bytes` of a halted test machine, uncached, through a line of 115200 baud and returns bytes a second
/// over the whole call of the client. With `server` (path of kdsrv) through a server process, else in this
/// process.
std::optional<double> PacedReadRate(char variant, std::size_t bytes, const std::string& server,
                                    std::string* error);

}  // namespace longwire::test
