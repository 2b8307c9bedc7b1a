#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace longwire {

/// Who on this machine has something open, as far as /proc shows it to this user; for messages.

/// "agetty (process 812), minicom (process 900)": the other programs that have the device open; empty if none
/// is seen.
std::string UsersOfDevice(const std::string& path);
/// The same for whoever listens on the tcp port.
std::string ListenersOnPort(std::uint16_t port);
/// How many connections the listening Unix socket at `path` has, waiting ones included. `table` is the text
/// of /proc/net/unix.
std::size_t ConnectionsOfSocket(std::string_view table, std::string_view path);
/// The text of a /proc file; empty if it cannot be read.
std::string ReadProcFile(const std::string& path);

}  // namespace longwire
