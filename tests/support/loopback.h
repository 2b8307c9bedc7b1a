#pragma once

#include <netinet/in.h>

namespace longwire::test {

/// 127.0.0.1 with that port.
sockaddr_in Loopback(int port);

/// A socket that listens on a port which the system chooses. The caller's; -1 when that fails.
int ListenOnLoopback(int backlog, int* port);

/// A connection to that port. The caller's; -1 when nobody takes it.
int DialLoopback(int port);

}  // namespace longwire::test
