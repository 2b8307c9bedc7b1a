#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proto/firewire/host_exchange.h"
#include "transport/stream.h"

namespace longwire {

/// One machine on an IEEE 1394 bus. Belongs to one executor.
class FirewireNode {
 public:
  struct View {
    std::vector<std::uint32_t> rom;  ///< configuration ROM, quadlets in host order
    std::size_t most_bytes = 512;    ///< of one request
  };
  struct Reply {
    firewire::BusOutcome outcome = firewire::BusOutcome::kFailed;
    std::vector<std::byte> data;  ///< of a read
  };

  virtual ~FirewireNode() = default;
  /// The node as it is now. Requests belong to the state of the bus (its generation) that was looked at last.
  virtual Result<View> Look() = 0;
  /// One at a time; ends within seconds.
  virtual Awaitable<Reply> Perform(firewire::BusRequest request) = 0;
  /// A pending Perform ends.
  virtual void Close() noexcept = 0;
};

/// The IEEE 1394 buses of this machine.
class FirewireBus {
 public:
  virtual ~FirewireBus() = default;
  /// Names of the nodes, this machine's own among them. kLinkFailed: there is no controller.
  virtual Result<std::vector<std::string>> Nodes() = 0;
  virtual Result<std::unique_ptr<FirewireNode>> Open(const std::string& name) = 0;
};

/// Those of the kernel, /dev/fw* (linux/firewire-cdev.h).
std::unique_ptr<FirewireBus> MakeSystemFirewireBus(Executor executor);
/// /dev/fw0, /dev/fw1, ... in order.
std::vector<std::string> FirewireDevices();

}  // namespace longwire
