#pragma once

#include <memory>
#include <string>

#include "server/link/link_port.h"

namespace longwire {

/// A port whose other side is a recording played back (ReplayMachine). Opening reads the file. The stream
/// ends with kClosed where the recording ends.
std::unique_ptr<LinkPort> MakeReplayPort(Executor executor, std::string path, double speed);

}  // namespace longwire
