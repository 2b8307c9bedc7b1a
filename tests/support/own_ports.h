#pragma once

#include <string>

namespace longwire::test {

/// Ports of this process, as `port=` takes them: twenty that no other test on this machine uses while it
/// runs, so that a server which is killed and started again finds its port free. Below those the system gives
/// to connections going out.
const std::string& OwnPorts();

}  // namespace longwire::test
