#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "transport/kernel_string.h"
#include "transport/stream.h"

namespace longwire {

/// Where the byte streams of one target come from: a serial device, a pty, a VM's socket, a TCP serial port.
/// A stream that ended is replaced by opening again. Belongs to one executor.
class LinkPort {
 public:
  virtual ~LinkPort() = default;

  /// One attempt. Ports that listen wait for the other side instead. Errors name the device and the next
  /// step.
  virtual Awaitable<Result<std::unique_ptr<Stream>>> Open() = 0;
  /// A pending Open ends with kCancelled; later ones too.
  virtual void Cancel() noexcept = 0;

  /// Open() may take for ever, because the other side has to come (`listen`).
  virtual bool listens() const noexcept = 0;
  /// A lost or absent stream is opened again with back-off, without being asked (`reconnect`, or listening).
  virtual bool reconnects() const noexcept = 0;
  /// Bytes per second of the line, 0 when it is not paced.
  virtual std::uint32_t bytes_per_second() const noexcept = 0;
  /// Of a serial device; 0: there is no such speed.
  virtual std::uint32_t baud() const noexcept { return 0; }
  /// For a port that has one: streams are opened with it from now on.
  virtual void SetBaud(std::uint32_t baud) { static_cast<void>(baud); }
  /// Who speaks to a port that listens and is not let in for a wrong key; empty: nobody.
  virtual std::string refused() const { return {}; }
};

/// Checks that this build can serve `link` and, for a listening port, takes its name at once.
/// kUnsupported for links without a back end here.
Result<std::unique_ptr<LinkPort>> MakeLinkPort(Executor executor, const KernelLink& link);

}  // namespace longwire
