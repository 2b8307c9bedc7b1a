#pragma once

#include <string>

namespace longwire {

/// `kdsrv --connect-pipe NAME`: what ssh runs on the server's machine for a client elsewhere. Joins standard
/// input and output with the pipe of that name of this user, after one line that says so. Exit code.
int RelayPipe(const std::string& name);

}  // namespace longwire
