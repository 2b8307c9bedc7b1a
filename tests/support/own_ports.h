#pragma once

#include <cstdint>
#include <string>

namespace longwire::test {

/// Ports of this process, as `port=` takes them: twenty that no other test on this machine uses while it
/// runs, so that a server which is killed and started again finds its port free. Below those the system gives
/// to connections going out.
const std::string& OwnPorts();

/// One of OwnPorts() that nobody listens on now, from the last to the first: another at each call until all
/// were given. For who has to know the port before the socket is made: a port that was bound and closed again
/// is anybody's.
std::uint16_t OwnPort();

/// The same of twenty UDP ports that a net: link may name, above those the system gives.
std::uint16_t OwnNetPort();

}  // namespace longwire::test
