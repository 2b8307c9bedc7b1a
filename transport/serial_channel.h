#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "transport/acceptor.h"
#include "transport/stream.h"

namespace longwire {

/// The `com` remoting protocol (remote-debugging.md 2.6): streams over the channels 0 to 254 of a serial
/// line, both ends of which run proto/mux. Whoever uses the same device on the same executor of one process
/// shares the line; the line is closed with its last user, when what was written is delivered. Another
/// process that has the device open is kLinkInUse.
struct SerialPlace {
  std::string device;
  std::uint32_t baud = 0;  ///< 0 leaves the rate alone; users of one line must agree
  std::uint8_t channel = 0;
};

/// PeerInfo::slowness and PeerInfo::drain of the streams of a line: what full buffers of both drivers add to
/// the line's own limits. Zero for `baud` 0.
std::chrono::milliseconds SerialSlowness(std::uint32_t baud);
std::chrono::milliseconds SerialDrain(std::uint32_t baud);

/// Listens on the channel; kBusy if this process does already. Any number of peers.
Result<std::unique_ptr<Acceptor>> BindSerialChannel(Executor executor, const SerialPlace& place);
/// kUnreachable: the other end has no listener on the channel. kTimedOut: nobody answers.
/// `heard`: receives the first bytes that come on a line nobody had open here, for who wants to know what is
/// at its other end; may be null.
Awaitable<Result<std::unique_ptr<Stream>>> DialSerialChannel(Executor executor, SerialPlace place,
                                                             std::chrono::milliseconds limit,
                                                             std::shared_ptr<std::string> heard);

}  // namespace longwire
